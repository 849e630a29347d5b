"""`models/calibration.json`: everything that is fitted on the validation split and applied to other images."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.metrics.calibration import CalibrationErrors
from coronet_core.metrics.out_of_distribution import EnergyReference
from coronet_core.support.errors import DataError
from tasks.networks.residual_index import ENERGY_COLUMNS
from tasks.runtime.files import read_json, write_report
from tasks.runtime.paths import CALIBRATION

SCORES: Final = (*(f"calibrated_{label}" for label in CLASSES), *ENERGY_COLUMNS)
"""Prediction columns that are compared: calibrated probabilities and residual energies."""
MAX_IMAGES: Final = 1000
DIGITS: Final = 6


def rounded(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `scores` (n,) as a reference has them: one that is just below 1 becomes 1."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in scores])


@dataclass(frozen=True, kw_only=True)
class ScoreReference:
    """Scores of validation images, one image per patient, as statistical tests assume independence."""

    images: int
    abstained: int
    """How many of these images the network abstained from."""
    scores: dict[str, list[float]]
    """By column, each sorted in ascending order on its own, so that no image's scores can be reassembled."""

    @classmethod
    def from_predictions(cls, predictions: pd.DataFrame, groups: NDArray[np.object_], seed: int) -> Self:
        """Return the reference for `predictions` with the columns SCORES and `abstained`.

        `groups` are the images' patient groups. The first image of each group is taken, and a random sample of these
        if there are more than MAX_IMAGES.
        """
        chosen = predictions[~pd.Series(groups, index=predictions.index).duplicated()]
        if len(chosen) > MAX_IMAGES:
            chosen = chosen.sample(MAX_IMAGES, random_state=seed % 2**32)
        scores = {name: rounded(np.sort(chosen[name].to_numpy())).tolist() for name in SCORES}
        return cls(images=len(chosen), abstained=int(chosen["abstained"].sum()), scores=scores)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the reference from the output of `asdict`."""
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class ValidationFigures:
    """How well the validation images are classified: what recipes are chosen by. None where undefined."""

    accuracy: float | None
    balanced_accuracy: float | None
    macro_roc_auc: float | None
    """Of the probabilities."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How to interpret the CIN's outputs."""

    images: dict[ClassName, int]
    """Number of validation images of each class."""
    temperature: float
    """The logits are divided by this."""
    before: CalibrationErrors
    """On the validation images, at temperature 1."""
    after: CalibrationErrors
    miscoverage: float
    """Share of prediction sets that may miss the true class."""
    conformal_quantile: float | None
    """A class is in the prediction set if 1 - its calibrated probability is at most this; None: every class is."""
    sensitivity_floor: float
    covid19_threshold: float | None
    """Probability of COVID-19, at temperature 1, from which the sensitivity floor is reached; None without images."""
    energies: EnergyReference
    """Reference for the out-of-distribution score."""
    warnings: list[str]
    """Limitations of the fit, as sentences."""
    scores: ScoreReference | None = None
    """Reference scores for drift; None in files written by versions without drift detection."""
    figures: ValidationFigures | None = None
    """None in files written by earlier versions."""

    @property
    def quantile(self) -> float:
        """The conformal quantile as a number, infinite if every class is in every set."""
        return math.inf if self.conformal_quantile is None else self.conformal_quantile

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the calibration from the output of `asdict`."""
        errors = {name: CalibrationErrors(**fields[name]) for name in ("before", "after")}
        energies, scores = EnergyReference.from_dict(fields["energies"]), fields.get("scores")
        reference = None if scores is None else ScoreReference.from_dict(scores)
        figures = None if (given := fields.get("figures")) is None else ValidationFigures(**given)
        return cls(**(fields | errors | {"energies": energies, "scores": reference, "figures": figures}))


def write_calibration(calibration: Calibration) -> None:
    """Write `models/calibration.json`."""
    write_report(CALIBRATION, asdict(calibration))


def read_calibration() -> Calibration:
    """Read `models/calibration.json`."""
    if not CALIBRATION.is_file():
        raise DataError(f"{CALIBRATION}: not there. Run the stage calibrate first (`coronet run`).")
    return Calibration.from_dict(read_json(CALIBRATION))
