"""A split's images with what the CIN predicts for them; whoever compares predictions needs no torch."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.calibration import probabilities_of
from tasks.networks.residual_index import ENERGY_COLUMNS

DISAGREEMENT: Final = "disagreement"
"""Column of the images: by how much the CIN's networks differ, in nats; NaN where it is one."""


@dataclass(frozen=True, kw_only=True)
class SplitPredictions:
    """A split's images and the CIN's predictions, in the same order."""

    images: pd.DataFrame
    """Rows of the manifest, indexed by position in the residual stack, with the residual energies and DISAGREEMENT."""
    truth: NDArray[np.int64]
    """Class indices (n,)."""
    logits: Floats
    """(n, 3)."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Class indices (n,)."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @property
    def groups(self) -> NDArray[np.object_]:
        """Patient groups (n,), the units of the bootstrap."""
        return self.images["patient_group"].to_numpy(dtype=object)

    @property
    def energies(self) -> Floats:
        """Mean of each channel of the residual tensor, (n, 3)."""
        return self.images[ENERGY_COLUMNS].to_numpy(dtype=np.float64)

    def probabilities(self, temperature: float = 1.0) -> Floats:
        """Return softmax(logits / temperature), (n, 3)."""
        return probabilities_of(self.logits, temperature)
