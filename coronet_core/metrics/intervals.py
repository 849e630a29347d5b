"""Intervals of proportions and of bootstrap replicates."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]

UNDEFINED_SHARE_MAX: Final = 0.08
"""More replicates than this without a value, and the sample is too small for an interval.

A class of two patients is missing from a replicate with a probability of about e^-2 = 0.14, one of three with about
e^-3 = 0.05: a figure that needs a class has an interval from three patients of the class on. The limit is far enough
from both that a thousand replicates do not cross it by chance.
"""
ROUNDING: Final = 1e-12


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927); the whole of [0, 1] without trials."""
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half_width = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, float(centre - half_width)), min(1.0, float(centre + half_width))


@dataclass(frozen=True)
class Proportion:
    """A share of images with its Wilson interval; None without images."""

    share: float | None
    interval: Interval | None
    images: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_], confidence: float) -> Self:
        """Return the share of true values among `hits` (n,)."""
        n = len(hits)
        if n == 0:
            return cls(None, None, 0)
        return cls(float(hits.mean()), wilson_interval(int(hits.sum()), n, confidence), n)


def percentile_interval(replicates: NDArray[np.float64], confidence: float) -> Interval | None:
    """Return the percentile interval of bootstrap `replicates` (r,); None if too many of them are NaN."""
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < (1 - UNDEFINED_SHARE_MAX) * len(replicates) or len(defined) == 0:
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def with_width(interval: Interval | None) -> Interval | None:
    """Return `interval`, None if it has no width.

    Where a sample holds no error, no draw from it does: its bootstrap would call an area of 1 certain.
    """
    return None if interval is None or math.isclose(*interval, abs_tol=ROUNDING) else interval
