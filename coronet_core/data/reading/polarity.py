"""Distinguishing negatives of chest X-rays (air bright) from the usual pictures (air dark)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from coronet_core.data.reading.grey import Background
from coronet_core.data.reading.radiograph import Note

SIDE: Final = 16
CLEARLY_NEGATIVE: Final = -0.2
"""Of 6,895 public chest X-rays as they should be, none correlates less than -0.07 with the expected brightness."""

PROBE_PX: Final = 64
EVIDENTLY_NEGATIVE: Final = -0.25
FRAMES: Final = (0.0, 0.1, 0.2)
"""Shares of each side that are cut off: films are scanned with white frames. Of 2,339 public X-rays, none correlates
less than 0.05 in all three cuts, nor, with white frames of up to a fifth drawn around them, less than -0.08."""


def _expected_brightness() -> NDArray[np.float64]:
    """Return where a frontal chest X-ray is bright: the middle, where spine and heart are, more so towards the abdomen.

    Shape (SIDE, SIDE), zero mean, unit norm.
    """
    steps = np.linspace(-1, 1, SIDE)
    brightness = np.exp(-((steps[None, :] / 0.45) ** 2)) * (1 + 0.8 * steps[:, None])
    brightness -= brightness.mean()
    return np.asarray(brightness / np.linalg.norm(brightness))


EXPECTED: Final = _expected_brightness()


def is_negative(image: Image.Image) -> bool:
    """Say whether `image`, mode L, is clearly a chest X-ray with its air bright."""
    seen = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    seen -= seen.mean()
    return bool((seen * EXPECTED).sum() < CLEARLY_NEGATIVE * np.linalg.norm(seen))


def is_evidently_negative(image: Image.Image) -> bool:
    """Say whether `image`, mode L, is a negative whichever frame is cut off: evidence against what a file says."""
    small = image.resize((PROBE_PX, PROBE_PX), Image.Resampling.NEAREST)  # ten or more pixels a place
    return all(_correlation(_without_frame(small, share)) < EVIDENTLY_NEGATIVE for share in FRAMES)


def _without_frame(image: Image.Image, share: float) -> Image.Image:
    left, top = int(image.width * share), int(image.height * share)
    return image.crop((left, top, image.width - left, image.height - top)) if share else image


def _correlation(image: Image.Image) -> float:
    seen = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64)
    seen -= seen.mean()
    return float((seen * EXPECTED).sum() / (np.linalg.norm(seen) or 1.0))


def air_dark(image: Image.Image, background: Background | None, *, is_tagged: bool) -> tuple[Image.Image, Note | None]:
    """Return `image`, mode L, with air and background dark, and its reading notes.

    `is_tagged` says whether its file calls it a negative. The picture decides where it is evidence.
    """
    turned = _painted(ImageOps.invert(image) if is_tagged else image, background)
    if not is_evidently_negative(turned):
        return turned, None
    return _painted(ImageOps.invert(turned), background), Note.TAG_NEGATIVE if is_tagged else Note.NEGATIVE


def _painted(image: Image.Image, background: Background | None) -> Image.Image:
    if background is not None:
        image.paste(0, mask=Image.fromarray(background))
    return image
