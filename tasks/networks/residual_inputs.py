"""The inputs of a split, as the CIN takes them."""

import pandas as pd
import torch

from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset
from coronet_core.common.classes import SplitName
from coronet_core.common.literals import CinInput
from coronet_core.common.shards import Shards
from tasks.networks.residual_index import class_indices, read_residual_index
from tasks.runtime.paths import IMAGES, RESIDUALS


def cin_inputs_of_split(split: SplitName, kind: CinInput, device: torch.device) -> tuple[CinInputs, torch.Tensor]:
    """Return what the CIN reads of one split's images, (n, C, H, W), and their class indices (n,) int64."""
    index = read_residual_index()
    chosen = index[index["split"] == split]
    return cin_inputs_of_rows(chosen, kind, device), torch.from_numpy(class_indices(chosen))


def cin_inputs_of_rows(rows: pd.DataFrame, kind: CinInput, device: torch.device) -> CinInputs:
    """Return what the CIN reads of the images in `rows` of the residual index, (n, C, H, W)."""
    images, residuals = (Subset(Shards.in_folder(folder), rows.index, device) for folder in (IMAGES, RESIDUALS))
    return CinInputs(kind, images, residuals)
