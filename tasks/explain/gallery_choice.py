"""Selection of the test images that the report shows one by one: errors, and the least certain of the others."""

from typing import Final

import numpy as np
import pandas as pd

from coronet_core.common.classes import CLASSES

MAX_SHOWN: Final = 12
"""Images of each kind."""


def choose_for_gallery(predictions: pd.DataFrame) -> pd.DataFrame:
    """Choose the most confident errors and, of the other images, the least certain ones; up to `MAX_SHOWN` of each.

    Returns these rows of `predictions`, in the order in which they are shown, with the columns `kind` (`error` or
    `uncertain`) and `explained` (the class whose probability is explained: the predicted one).
    """
    errors = most_confident_errors(predictions).head(MAX_SHOWN)
    uncertain = least_certain(predictions.drop(index=errors.index)).head(MAX_SHOWN)
    order = [*errors.index, *uncertain.index]
    chosen = predictions.loc[order].reset_index(drop=True)
    kinds = ["error"] * len(errors) + ["uncertain"] * len(uncertain)
    return chosen.assign(kind=kinds, explained=chosen["predicted"])


def most_confident_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of misclassified images, the most probable prediction first."""
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    return _by(-_confidence(wrong), wrong)


def least_certain(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return all rows, the least probable prediction first."""
    return _by(_confidence(predictions), predictions)


def _confidence(predictions: pd.DataFrame) -> pd.Series:
    """Return the calibrated probability of each image's predicted class."""
    calibrated = predictions[[f"calibrated_{label}" for label in CLASSES]].to_numpy()
    columns = [CLASSES.index(label) for label in predictions["predicted"]]
    return pd.Series(calibrated[np.arange(len(columns)), columns], index=predictions.index, dtype=float)


def _by(key: pd.Series, predictions: pd.DataFrame) -> pd.DataFrame:
    order = pd.DataFrame({"key": key, "image_id": predictions["image_id"]}).sort_values(["key", "image_id"])
    return predictions.loc[order.index]
