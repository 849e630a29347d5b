"""Calibration of probabilities: temperature scaling, and the errors that it reduces (Guo et al. 2017).

Temperature scaling divides all logits by one number T, found on validation images; the prediction stays the same, its
confidence does not. With p the calibrated probabilities of n images and y the truth as 0 and 1:

    NLL = mean of -log p_truth
    Brier = mean of sum over classes of (p_c - y_c)^2, in [0, 2] (Brier 1950)
    ECE = sum over bins b of n_b / n * |accuracy_b - confidence_b|, the images binned by their top class's probability
          into 15 bins of equal width, (0, 1/15] to (14/15, 1]
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.bootstrap import Statistics
from coronet_core.support.errors import DataError

BINS: Final = 15
COLDEST: Final = 0.05
HOTTEST: Final = 20.0
GOLDEN: Final = (5**0.5 - 1) / 2
STEPS: Final = 60
"""Of the golden-section search: each keeps 0.62 of the range, so log T is found to 1e-11."""


@dataclass(frozen=True)
class CalibrationErrors:
    """How far probabilities are from the truth; smaller is better."""

    nll: float
    brier: float
    ece: float


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose top class has a probability in (low, high]."""

    low: float
    high: float
    images: int
    confidence: float | None
    """Mean probability of the top class; None without images."""
    accuracy: float | None

    @property
    def gap(self) -> float:
        """|accuracy - confidence|, 0 without images."""
        return 0.0 if self.accuracy is None or self.confidence is None else abs(self.accuracy - self.confidence)


def probabilities_of(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return softmax(logits / temperature), (n, 3)."""
    return np.asarray(np.exp(_log_probabilities(logits, temperature)))


def fit_temperature(logits: Floats, truth: NDArray[np.int64]) -> float:
    """Return the T in [0.05, 20] of least NLL; `logits` (n, 3), `truth` class indices (n,).

    NLL is convex in 1 / T, so it has one minimum over log T, which a golden-section search finds. If every
    image is classified correctly there is none: colder is always better, and the range's end is returned. Raises
    DataError without images.
    """
    if len(truth) == 0:
        raise DataError("no validation images: nothing to calibrate on. Raise data.split.validation_fraction.")
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if _nll(logits, truth, np.exp(left)) <= _nll(logits, truth, np.exp(right)):
            high = right
        else:
            low = left
    return float(np.clip(np.exp((low + high) / 2), COLDEST, HOTTEST))


def is_at_the_end(temperature: float) -> bool:
    """Whether the search ended at an end of its range, so that the images alone do not determine T."""
    return not COLDEST * 1.001 < temperature < HOTTEST / 1.001


def calibration_errors(logits: Floats, truth: NDArray[np.int64], temperature: float = 1.0) -> CalibrationErrors:
    """Return the errors of softmax(logits / temperature) on n > 0 images; `logits` (n, 3), `truth` (n,)."""
    probabilities = probabilities_of(logits, temperature)
    is_true = np.arange(probabilities.shape[1]) == truth[:, None]
    bins = reliability(probabilities, truth)
    return CalibrationErrors(
        nll=_nll(logits, truth, temperature),
        brier=float(((probabilities - is_true) ** 2).sum(axis=1).mean()),
        ece=sum(b.images * b.gap for b in bins) / len(truth),
    )


def reliability(probabilities: Floats, truth: NDArray[np.int64]) -> list[ReliabilityBin]:
    """Return the bins of the reliability diagram of `probabilities` (n, 3), empty ones included."""
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == truth
    bin_of_image = _bins(confidence)
    bins = []
    for number in range(BINS):
        inside = bin_of_image == number
        means = [float(values[inside].mean()) if inside.any() else None for values in (confidence, is_right)]
        bins.append(ReliabilityBin(number / BINS, (number + 1) / BINS, int(inside.sum()), means[0], means[1]))
    return bins


def calibration_error(probabilities: Floats, truth: NDArray[np.int64]) -> Statistics:
    """Return the function from weights (r, n) to the ECE, (r,): what the bootstrap takes.

    `probabilities` (n, 3), `truth` class indices (n,). NaN for weights that are all 0.
    """
    confidence = probabilities.max(axis=1)
    gap = (probabilities.argmax(axis=1) == truth) - confidence  # (n,): right or not, minus how sure
    in_bin = np.eye(BINS)[_bins(confidence)] * gap[:, None]  # (n, bins)

    def error(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return {"calibration_error": np.abs(weights @ in_bin).sum(axis=1) / total}

    return error


def _bins(confidence: Floats) -> NDArray[np.int64]:
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _log_probabilities(logits: Floats, temperature: float) -> Floats:
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)  # the largest is 0: exp cannot overflow
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))


def _nll(logits: Floats, truth: NDArray[np.int64], temperature: float) -> float:
    return float(-_log_probabilities(logits, temperature)[np.arange(len(truth)), truth].mean())
