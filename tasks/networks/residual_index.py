"""The index of the residual tensors, which `materialize_residuals` writes and the stages behind it read."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import DataError
from coronet_core.support.tables import read_frame
from tasks.runtime.paths import RESIDUAL_INDEX

ENERGY_COLUMNS: Final = ["residual_healthy", "residual_pneumonia", "residual_both"]
"""Mean of each channel of the residual tensor over the image."""


def read_residual_index() -> pd.DataFrame:
    """Read the index of the residual tensors: one row an image, in the order of the residual stack."""
    if not RESIDUAL_INDEX.is_file():
        raise DataError(f"{RESIDUAL_INDEX}: not found. Run the stage materialize_residuals first (`coronet run`).")
    return read_frame(RESIDUAL_INDEX)


def class_indices(table: pd.DataFrame) -> NDArray[np.int64]:
    """Return the column `label` as class indices (n,)."""
    return np.array([CLASSES.index(label) for label in table["label"]], dtype=np.int64)
