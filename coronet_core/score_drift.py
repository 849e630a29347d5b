"""How far a window of images has moved away from a reference, score by score.

Each score is tested once (two-sample Kolmogorov-Smirnov; for a share Fisher's exact test), and Holm's correction keeps
the chance of any false alarm among all of them below the level, however the scores depend on one another. A test of
many images finds differences that do not matter, so an alarm also takes a population stability index above a bound:

    PSI = sum over bins of (w - r) ln(w / r)

of the shares r of the reference and w of the window in the reference's deciles. By common usage below 0.1 is stable and
above 0.25 a large shift. Where nothing has changed it still comes to about 9 (1/m + 1/n) for m and n images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
BINS: Final = 10
PSEUDO_IMAGES: Final = 0.5
"""Added to every bin: an empty one would make the index infinite."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A score in the reference and in the window."""

    reference: float
    """The median there; of a share the share."""
    window: float
    psi: float
    p_value: float
    """Of the test alone, before any correction."""


def shift_of_scores(reference: Values, window: Values) -> Shift:
    """Return how far the scores `window` (n,) are from those of the `reference` (m,); both finite and not empty."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) for values in (reference, window)]
    return Shift(
        reference=float(np.median(reference)),
        window=float(np.median(window)),
        psi=stability_index(*counts),
        p_value=float(stats.ks_2samp(reference, window).pvalue),
    )


def shift_of_shares(reference: tuple[int, int], window: tuple[int, int]) -> Shift:
    """Return how far a share has moved; both are the images that it counts and all images."""
    counts = [np.array([hits, n - hits]) for hits, n in (reference, window)]
    return Shift(
        reference=reference[0] / reference[1],
        window=window[0] / window[1],
        psi=stability_index(*counts),
        p_value=float(stats.fisher_exact(np.stack(counts)).pvalue),
    )


def stability_index(reference: NDArray[np.int64], window: NDArray[np.int64]) -> float:
    """Return the population stability index of images counted by bin, (bins,) each."""
    first, second = ((counts + PSEUDO_IMAGES) / (counts + PSEUDO_IMAGES).sum() for counts in (reference, window))
    return float(((second - first) * np.log(second / first)).sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979): at most `a` with probability `a` when nothing is so."""
    ascending = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.maximum.accumulate(np.asarray(p_values)[ascending] * factors).clip(max=1)
    ordered = np.empty(len(p_values))
    ordered[ascending] = corrected
    return [float(value) for value in ordered]
