"""The images and residual tensors of a split, as the training stages take them."""

import pandas as pd
import torch

from coronet_core.classes import CLASSES, ClassName, SplitName
from coronet_core.data.manifest import read_manifest
from coronet_core.errors import DataError
from coronet_core.shards import Shards, Subset
from tasks.paths import IMAGES, MANIFEST, RESIDUAL_INDEX, RESIDUALS


def images_of(split: SplitName, label: ClassName, device: torch.device) -> Subset:
    """Return the uint8 images (n, H, W) of one class in one split."""
    manifest = read_manifest(MANIFEST)
    rows = manifest.index[(manifest["split"] == split) & (manifest["label"] == label)]
    return Subset(Shards.in_folder(IMAGES), rows, device)


def read_residual_index() -> pd.DataFrame:
    """Read the index of the residual tensors: one row an image, in the order of the residual stack."""
    if not RESIDUAL_INDEX.is_file():
        raise DataError(f"{RESIDUAL_INDEX}: not there. Run the stage materialize_residuals first (`coronet run`).")
    return pd.read_parquet(RESIDUAL_INDEX)


def residuals_of_split(split: SplitName, device: torch.device) -> tuple[Subset, torch.Tensor]:
    """Return the residual tensors (n, 3, H, W) float16 of one split and their class indices (n,) int64."""
    index = read_residual_index()
    chosen = index[index["split"] == split]
    return Subset(Shards.in_folder(RESIDUALS), chosen.index, device), class_indices(chosen)


def class_indices(table: pd.DataFrame) -> torch.Tensor:
    """Return the column `label` as class indices (n,) int64."""
    return torch.tensor([CLASSES.index(label) for label in table["label"]], dtype=torch.int64)
