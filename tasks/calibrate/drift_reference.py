"""What the scores of validation images are like, kept in `models/calibration.json`: it goes where the model goes."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from tasks.networks.residual_index import ENERGY_COLUMNS

SCORES: Final = (*(f"calibrated_{label}" for label in CLASSES), *ENERGY_COLUMNS)
"""Columns of predictions that are compared: calibrated probabilities and residual energies."""
MAX_IMAGES: Final = 1000
DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True)
class ScoreReference:
    """Scores of validation images, one image a patient: what a test takes for independent."""

    images: int
    abstained: int
    """Of these images, those that are left to a person."""
    scores: dict[str, list[float]]
    """By column, ascending, each by itself: no image's scores can be put together again."""

    @classmethod
    def from_answers(cls, answers: pd.DataFrame, groups: NDArray[np.object_], seed: int) -> Self:
        """Return the reference of `answers` with the columns SCORES and `abstained`.

        `groups` are the images' patient groups. Of each the first image is taken and, of more than MAX_IMAGES, so many
        at random.
        """
        chosen = answers[~pd.Series(groups, index=answers.index).duplicated()]
        if len(chosen) > MAX_IMAGES:
            chosen = chosen.sample(MAX_IMAGES, random_state=seed % 2**32)
        scores = {name: [float(f"{value:.{DIGITS}g}") for value in np.sort(chosen[name])] for name in SCORES}
        return cls(images=len(chosen), abstained=int(chosen["abstained"].sum()), scores=scores)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return what `asdict` made a dict of."""
        return cls(**fields)
