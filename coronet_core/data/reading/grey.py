"""The second reading rule: values of any depth to 8-bit grey, between limits that few odd values do not move.

    grey = 255 (y - low) / (high - low), clipped;  low, high = percentiles 0.1 and 99.9 of y

where y are the values as they are to be shown (rescaled, windowed). Where a few of them (markers) or many that are all
the same (blank parts) lie apart by more than the range of all others, the limit is that of the others, and they are
background. Padding takes no part and is shown as background.
It is the same rule for 8, 12 and 16 bits and floating point: how a file stores an X-ray does not show in its picture.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LIMITS: Final = (0.001, 0.999)
"""Shares of the pixels that are darker than what becomes 0 and 255. Of public X-rays the marker letters cover more."""
TAIL: Final = np.linspace(LIMITS[0], 0.05, 50)
SHARES: Final = np.concatenate([TAIL, np.linspace(0.06, 0.94, 89), 1 - TAIL[::-1]])
"""Where leaps are looked for, finely where markers are."""
ROUNDING: Final = 1e-6
"""More than the rounding errors of values, as a fraction of their range."""
LEAP: Final = 1.0 + ROUNDING  # of the range below it
MAX_MARKER_SHARE: Final = 0.05
MAX_BLANK_SHARE: Final = 0.5
GREYS: Final = np.arange(256, dtype=np.float64)
SAMPLED_PIXELS: Final = 2**20
"""From so many, on a regular grid, the limits are taken; of larger images a part is looked at."""
CODES: Final = 2**16
"""What is deeper (32-bit integers, floating point) is rounded to as many steps between its own limits."""
Background = NDArray[np.bool_]  # (H, W)
Levels = NDArray[np.float64]  # (K,)


@dataclass(frozen=True)
class Tabulated:
    """An image as codes, what each of them stands for, and how often it is there."""

    codes: NDArray[np.unsignedinteger[Any]]  # (H, W), below K
    levels: Levels
    counts: NDArray[np.int64]  # (K,), of a sample, without the background
    background: Background | None

    def image(self, shown: Levels) -> tuple[Image.Image, Background | None]:
        """Return the image, mode L, in which each code is seen as `shown` (K,) says, and where its background is."""
        grey, is_apart = lookup(shown, self.counts)
        background = self.background
        if is_apart.any():
            apart: Background = is_apart[self.codes]
            background = apart if background is None else background | apart
        return Image.fromarray(grey[self.codes]), background


def stretched(image: Image.Image, background: Background | None) -> tuple[Image.Image, Background | None, float]:
    """Return `image`, mode L, between its limits, its background, and how many times its contrast it has then."""
    counts = np.array(image.histogram(None if background is None else Image.fromarray(~background)))
    low, high = _limits(GREYS, counts)
    grey, is_apart = _between(GREYS, low, high)
    if is_apart.any():
        apart: Background = is_apart[np.asarray(image)]
        background = apart if background is None else background | apart
    return image.point(grey.tolist()), background, 255 / (high - low) if high > low else 1.0


def lookup(shown: Levels, counts: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the grey of each code and whether it is far apart (K,), given what it is seen as and how many have it."""
    return _between(shown, *_limits(shown, counts))


def _between(shown: Levels, low: float, high: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    reach = max(high - low, np.finfo(np.float64).tiny)
    scale = 255 / reach if high > low else 0.0
    grey = ((shown - low) * scale).clip(0, 255).round().astype(np.uint8)
    return grey, (shown > high + reach) | (shown < low - reach)


def n_levels(shown: Levels, counts: NDArray[np.int64]) -> int:
    """Return how many different greys an image has."""
    return len(np.unique(lookup(shown, counts)[0][counts > 0]))


def _limits(shown: Levels, counts: NDArray[np.int64]) -> tuple[float, float]:
    there = np.flatnonzero(counts)
    if not len(there):
        return 0.0, 0.0
    order = np.argsort(shown[there], kind="stable")
    seen, reached = shown[there][order], np.cumsum(counts[there][order])
    quantiles = seen[np.searchsorted(reached, SHARES * reached[-1])]
    top, bottom = _leap(quantiles), -_leap(-quantiles[::-1])
    rounding = ROUNDING * (seen[-1] - seen[0])  # a value in the middle of a leap is above it, whatever the unit
    first, last = np.searchsorted(seen, (bottom - rounding, top - rounding))
    reached = reached[first:last] - (reached[first - 1] if first else 0)
    low, high = seen[first:last][np.searchsorted(reached, np.multiply(LIMITS, reached[-1]))]
    return (float(low), float(high)) if high > low else (float(seen[0]), float(seen[-1]))


def _leap(quantiles: Levels) -> float:
    """Return the middle of the first leap in rising `quantiles` that is as wide as all that is below it, or infinity.

    Few values must be above it, or only one.
    """
    below, above = quantiles[:-1], quantiles[1:]
    is_apart = (SHARES[1:] > 1 - MAX_MARKER_SHARE) | (above == quantiles[-1])
    is_apart &= (
        (SHARES[1:] > 1 - MAX_BLANK_SHARE) & (below > quantiles[0]) & (above - below > LEAP * (below - quantiles[0]))
    )
    places = np.flatnonzero(is_apart)
    return float(below[places[0]] + above[places[0]]) / 2 if len(places) else np.inf


def tabulate(values: NDArray[Any], background: Background | None) -> Tabulated:
    """Return grey values (H, W) of any type as codes; those in `background` do not count. Values must be finite."""
    if background is not None and not background.any():
        background = None
    if values.dtype in (np.uint8, np.uint16):
        codes, levels = values, np.arange(int(values.max()) + 1, dtype=np.float64)
    elif values.dtype.kind in "iu" and (lowest := int(values.min())) + CODES > (highest := int(values.max())):
        codes = (values.astype(np.int64) - lowest).astype(np.uint16)
        levels = np.arange(lowest, highest + 1, dtype=np.float64)
    else:
        codes, levels, is_apart = _rounded(values, background)
        if is_apart.any():
            background = is_apart if background is None else background | is_apart
    sample, kept = sampled(codes), None if background is None else ~sampled(background)
    counts = np.bincount(sample.ravel() if kept is None else sample[kept], minlength=len(levels))
    return Tabulated(codes, levels, counts, background)


def _rounded(
    values: NDArray[Any], background: Background | None
) -> tuple[NDArray[np.unsignedinteger[Any]], Levels, Background]:
    """Return codes, what they stand for, and where values are so far apart that they are markers or padding."""
    sample = sampled(values) if background is None else sampled(values)[~sampled(background)]
    sample = sample.astype(np.float64) if sample.size else np.zeros(1)
    quantiles = np.quantile(sample, SHARES, method="lower")
    top, bottom = _leap(quantiles), -_leap(-quantiles[::-1])
    low, high = np.quantile(sample[(sample < top) & (sample > bottom)], LIMITS)
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    levels = np.linspace(low, high, CODES) if high > low else np.full(CODES, low)
    step = (high - low) / (CODES - 1) or 1.0
    codes = ((values.astype(np.float64) - low) / step).clip(0, CODES - 1).round().astype(np.uint16)
    return codes, levels, (values >= top) | (values <= bottom)


def sampled(image: NDArray[Any]) -> NDArray[Any]:
    """Return pixels of `image` (H, W, ...) on a regular grid, all of them if there are few."""
    step = max(1, round((image.shape[0] * image.shape[1] / SAMPLED_PIXELS) ** 0.5))
    return image[::step, ::step]
