"""The images of a split, as the training of the autoencoders takes them."""

import torch

from coronet_core.common.batches import Subset
from coronet_core.common.classes import ClassName, SplitName
from coronet_core.common.shards import Shards
from coronet_core.data.manifest import read_manifest
from tasks.runtime.paths import IMAGES, MANIFEST


def images_of(split: SplitName, label: ClassName, device: torch.device) -> Subset:
    """Return the uint8 images (n, H, W) of one class in one split."""
    manifest = read_manifest(MANIFEST)
    rows = manifest.index[(manifest["split"] == split) & (manifest["label"] == label)]
    return Subset(Shards.in_folder(IMAGES), rows, device)
