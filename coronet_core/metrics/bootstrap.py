"""Bootstrap over patients: intervals of any statistic, and of the difference between two models.

Images of one patient are alike, so the images are not drawn one by one: whole patient groups are drawn with
replacement, as many as there are (Efron and Tibshirani 1993, ch. 8). A replicate is a count of each image. The draw is
not stratified by class: how many patients of each class a test set holds is chance too, and belongs into the interval.

The statistics take counts as weights (r, n) and give an array (r,) each, so thousands of replicates are a few matrix
operations; `IMAGES_AT_ONCE` bounds their memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.intervals import Interval, percentile_interval

Statistics = Callable[[Floats], dict[str, Floats]]
"""From weights (r, n) to named values, each (r,), NaN where undefined."""

IMAGES_AT_ONCE: Final = 2_000_000
"""Replicates times images whose weights are held at a time: 16 MB an array."""


def replicate_weights(groups: NDArray[Any], replicates: int, seed: int) -> Iterator[Floats]:
    """Yield the counts of the images in all replicates, (some replicates, n) at a time.

    `groups` (n,) names each image's patient group. The draws depend on the seed and the groups alone.
    """
    names, group_of_image = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    at_once = max(1, IMAGES_AT_ONCE // len(groups))
    for start in range(0, replicates, at_once):
        size = min(at_once, replicates - start)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)  # (size, groups)
        yield drawn[:, group_of_image].astype(np.float64)


def bootstrap(statistics: Statistics, groups: NDArray[Any], replicates: int, seed: int) -> dict[str, Floats]:
    """Return the values (replicates,) of each statistic over the replicates of a sample of grouped images."""
    parts = [statistics(weights) for weights in replicate_weights(groups, replicates, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def estimate(statistics: Statistics, n_images: int) -> dict[str, float]:
    """Return the value of each statistic on the sample itself, where every image counts once."""
    return {name: float(value[0]) for name, value in statistics(np.ones((1, n_images))).items()}


@dataclass(frozen=True)
class PairedDifference:
    """How two models differ on the same images: first minus second."""

    difference: float
    interval: Interval | None
    """None if the figure is undefined in too many replicates."""
    share_above_zero: float
    """Of the replicates that have a value: near 1 the first is larger, near 0 it is not."""

    @classmethod
    def of(cls, difference: float, drawn: Floats, confidence: float) -> Self:
        """Return `difference` with what its values in the replicates, `drawn` (r,), say of it."""
        defined = drawn[np.isfinite(drawn)]
        share = float((defined > 0).mean()) if len(defined) else float("nan")
        return cls(difference, percentile_interval(drawn, confidence), share)


def paired_differences(
    first: Statistics, second: Statistics, groups: NDArray[Any], replicates: int, seed: int, confidence: float
) -> dict[str, PairedDifference]:
    """Return how much two models' statistics on the same images differ: both see the same replicates."""

    def difference(weights: Floats) -> dict[str, Floats]:
        ours, theirs = first(weights), second(weights)
        return {name: ours[name] - theirs[name] for name in ours}

    on_the_sample = estimate(difference, len(groups))
    drawn = bootstrap(difference, groups, replicates, seed)
    return {name: PairedDifference.of(on_the_sample[name], values, confidence) for name, values in drawn.items()}
