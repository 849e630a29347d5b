"""The scores of the validation images, the reference for drift; stored in `models/calibration.json`."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from tasks.networks.residual_index import ENERGY_COLUMNS

SCORES: Final = (*(f"calibrated_{label}" for label in CLASSES), *ENERGY_COLUMNS)
"""Prediction columns that are compared: calibrated probabilities and residual energies."""
MAX_IMAGES: Final = 1000
DIGITS: Final = 6


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
        scores = {name: [float(f"{value:.{DIGITS}g}") for value in np.sort(chosen[name])] for name in SCORES}
        return cls(images=len(chosen), abstained=int(chosen["abstained"].sum()), scores=scores)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the reference from the output of `asdict`."""
        return cls(**fields)
