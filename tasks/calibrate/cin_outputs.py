"""Predictions of the trained CIN for one split."""

import numpy as np
import torch
from torch import Tensor

from coronet_core.classifier.ensemble import combined, member_outputs
from coronet_core.common.batches import batches
from coronet_core.common.classes import SplitName
from coronet_core.common.manifest import read_manifest
from coronet_core.support.errors import DataError, TrainingError
from tasks.calibrate.split_predictions import DISAGREEMENT, SplitPredictions
from tasks.networks.residual_index import ENERGY_COLUMNS, class_indices, read_residual_index
from tasks.networks.residual_inputs import cin_inputs_of_split
from tasks.networks.trained_cin import load_cin
from tasks.runtime.paths import CIN_WEIGHTS, MANIFEST
from tasks.runtime.progress import Progress
from tasks.runtime.stage_context import StageContext


def predict_split(context: StageContext, split: SplitName) -> SplitPredictions:
    """Return the CIN's predictions for a split. Raises DataError if it has no images."""
    index = read_residual_index()
    index = index[index["split"] == split]
    described = read_manifest(MANIFEST).loc[index.index].join(index[ENERGY_COLUMNS])
    logits, disagreement = outputs_of_split(context, split)
    described[DISAGREEMENT] = np.nan if disagreement is None else disagreement.numpy()
    return SplitPredictions(images=described, truth=class_indices(described), logits=logits.numpy())


@torch.inference_mode()
def outputs_of_split(context: StageContext, split: SplitName) -> tuple[Tensor, Tensor | None]:
    """Return the logits (n, 3) of a split's images, and the disagreement (n,) of the CIN's networks; None for one.

    Both are float64, on the CPU, in the order of the residual index.
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
            parts.append(member_outputs(cin, inputs.take(positions)).double().cpu())
            bar.advance(len(positions))
    logits, disagreement = combined(torch.cat(parts, dim=1))
    if n_bad := int((~logits.isfinite()).any(dim=1).sum()):
        raise TrainingError(
            f"the CIN's logits are not finite for {n_bad} of {len(logits)} {split} images: its weights ({CIN_WEIGHTS}) "
            "or the residual tensors are broken. Train again with a smaller learning_rate or precision: fp32."
        )
    return logits, disagreement
