"""Predictions of the trained CIN for one split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from coronet_core.common.batches import batches
from coronet_core.common.classes import SplitName
from coronet_core.common.manifest import read_manifest
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.calibration import probabilities_of
from coronet_core.support.errors import DataError, TrainingError
from tasks.networks.residual_index import ENERGY_COLUMNS, read_residual_index
from tasks.networks.residual_inputs import cin_inputs_of_split, class_indices
from tasks.networks.trained_cin import load_cin
from tasks.runtime.paths import CIN_WEIGHTS, MANIFEST
from tasks.runtime.progress import Progress
from tasks.runtime.stage_context import StageContext


@dataclass(frozen=True, kw_only=True)
class SplitPredictions:
    """A split's images and the CIN's predictions, in the same order."""

    images: pd.DataFrame
    """Rows of the manifest, indexed by position in the residual stack, with the residual energies."""
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


def predict_split(context: StageContext, split: SplitName) -> SplitPredictions:
    """Return the CIN's predictions for a split. Raises DataError if it has no images."""
    index = read_residual_index()
    index = index[index["split"] == split]
    described = read_manifest(MANIFEST).loc[index.index].join(index[ENERGY_COLUMNS])
    logits = logits_of_split(context, split).numpy()
    return SplitPredictions(images=described, truth=class_indices(described).numpy(), logits=logits)


@torch.inference_mode()
def logits_of_split(context: StageContext, split: SplitName) -> torch.Tensor:
    """Return the logits (n, 3) float64, on the CPU, of a split's images in the order of the residual index.

    Raises DataError for a split without images and TrainingError for logits that are not finite.
    """
    kind = context.params.cin.input
    cin = load_cin(kind, context.device)
    inputs, _ = cin_inputs_of_split(split, kind, context.device)
    if len(inputs) == 0:
        raise DataError(f"no {split} images: nothing to predict. Raise data.split.{split}_fraction or add images.")
    everything = torch.arange(len(inputs), device=context.device)
    parts = []
    with Progress(context.name, len(inputs), "images") as bar:
        for positions in batches(everything, context.params.evaluate.batch_size):
            parts.append(cin(inputs.take(positions)).double().cpu())
            bar.advance(len(positions))
    logits = torch.cat(parts)
    if n_bad := int((~logits.isfinite()).any(dim=1).sum()):
        raise TrainingError(
            f"the CIN's logits are not finite for {n_bad} of {len(logits)} {split} images: its weights ({CIN_WEIGHTS}) "
            "or the residual tensors are broken. Train again with a smaller learning_rate or precision: fp32."
        )
    return logits
