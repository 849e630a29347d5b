"""Images that are hardly frontal chest X-rays: masks, few grey levels, a lateral view, a slice."""

from collections import Counter
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from coronet_core.data.reading.radiograph import UNSUITABLE, Note

BETWEEN: Final = "; "
LATERAL: Final = "L"
SLICES: Final = ("Axial", "Coronal", "Sagittal")
"""Views by the vocabulary of `coronet_core.data.fields`."""
MASK: Final = "mask"
"""How the reasons begin why a mask is not taken as an X-ray."""
MAX_LABELS: Final = 4
"""Grey levels of a map of labels, such as background, left and right lung."""
FLAT_LEVELS: Final = 6
"""Greys so near to an area's own belong to it."""
MIN_CONTRAST_LEVELS: Final = 32
"""Between the greys of two areas."""
MIN_FLAT_SHARES: Final = (0.65, 0.75)
"""Of the pixels of each area, and of all. Masks of lungs at 96 px, as a JPEG of quality 30, have 0.72 and 0.80; of
7,015 X-rays none has more than 0.53 and 0.64."""


def note_unsuitable(manifest: pd.DataFrame, min_grey_levels: int) -> None:
    """Add to the `reading_notes` of a new manifest the evidence of its other columns against an image, in place.

    Views count whether an image was read or not, few grey levels where they were counted: by the second reading rule.
    Rows that are rejected stay as they are.
    """
    accepted = manifest["rejected_because"].isna()
    for note, found in (
        (Note.LATERAL, manifest["view"] == LATERAL),
        (Note.SLICE, manifest["view"].isin(SLICES)),
        (Note.FEW_LEVELS, (manifest["grey_levels"] < min_grey_levels).fillna(value=False).astype(bool)),
    ):
        known = manifest["reading_notes"].str.contains(note, regex=False).fillna(value=False).astype(bool)
        new = found & accepted & ~known
        former = manifest.loc[new, "reading_notes"]
        manifest.loc[new, "reading_notes"] = former.add(BETWEEN).fillna("") + note


def reject_unsuitable(manifest: pd.DataFrame) -> None:
    """Give every unsuitable image its note as the reason why it is rejected, in place."""
    for note in UNSUITABLE:
        noted = manifest["reading_notes"].str.contains(note, regex=False).fillna(value=False).astype(bool)
        manifest.loc[noted & manifest["rejected_because"].isna(), "rejected_because"] = str(note)


def counted_notes(manifest: pd.DataFrame) -> dict[str, int]:
    """Return how many images each note is on, the most frequent first."""
    notes = manifest["reading_notes"].dropna().str.split(BETWEEN, regex=False)
    return dict(Counter(note for of_image in notes for note in of_image).most_common())


def mask_reason(grey: Image.Image) -> str | None:
    """Return why an 8-bit grey picture is a mask, None if it is none. One grey all over is no mask."""
    counts = grey.histogram()
    n_levels = sum(count > 0 for count in counts)
    if 1 < n_levels <= MAX_LABELS:
        return f"{MASK} ({n_levels} grey levels)"
    is_flat = all(share >= least for share, least in zip(flat_shares(counts), MIN_FLAT_SHARES, strict=True))
    return f"{MASK} (two flat greys)" if is_flat else None


def flat_shares(counts: list[int]) -> tuple[float, float]:
    """Return the share of pixels near their area's own grey: in the less flat of two areas, and in both together.

    `counts` is the number of pixels by grey level. The two greys are the commonest and the commonest that is far from
    it; the areas meet halfway. Without a second grey there are no two areas: 0 and 0.
    """
    of_level = np.array(counts)
    first = int(of_level.argmax())
    far = of_level.copy()
    far[max(0, first - MIN_CONTRAST_LEVELS + 1) : first + MIN_CONTRAST_LEVELS] = 0
    if not far.any():
        return 0.0, 0.0
    dark, bright = sorted((first, int(far.argmax())))
    middle = (dark + bright) // 2 + 1
    areas = (of_level[:middle], of_level[middle:])
    near = (
        areas[0][max(0, dark - FLAT_LEVELS) : dark + FLAT_LEVELS + 1],
        areas[1][bright - FLAT_LEVELS - middle : bright + FLAT_LEVELS + 1 - middle],
    )
    sums = [(flat.sum(), area.sum()) for flat, area in zip(near, areas, strict=True)]
    return float(min(flat / area for flat, area in sums)), float(sum(flat for flat, _ in sums) / of_level.sum())
