"""The inputs of a split, as the CIN takes them."""

import pandas as pd
import torch

from coronet_core.batches import Subset
from coronet_core.cin_input import CinInputs
from coronet_core.classes import CLASSES, SplitName
from coronet_core.options import CinInput
from coronet_core.shards import Shards
from tasks.paths import IMAGES, RESIDUALS
from tasks.residual_index import read_residual_index


def cin_inputs_of_split(split: SplitName, kind: CinInput, device: torch.device) -> tuple[CinInputs, torch.Tensor]:
    """Return what the CIN reads of one split's images, (n, C, H, W), and their class indices (n,) int64."""
    index = read_residual_index()
    chosen = index[index["split"] == split]
    images, residuals = (Subset(Shards.in_folder(folder), chosen.index, device) for folder in (IMAGES, RESIDUALS))
    return CinInputs(kind, images, residuals), class_indices(chosen)


def class_indices(table: pd.DataFrame) -> torch.Tensor:
    """Return the column `label` as class indices (n,) int64."""
    return torch.tensor([CLASSES.index(label) for label in table["label"]], dtype=torch.int64)
