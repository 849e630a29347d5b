"""The tensors that training takes from shards."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from coronet_core.common.shards import Shards


class Subset:
    """Chosen rows of a stack, ready for a device.

    On an accelerator the rows are copied there once, in their stored type, and batches are gathered there. On the
    CPU they stay memory-mapped and each batch is read as it is needed.
    """

    def __init__(self, shards: Shards, rows: Iterable[int], device: torch.device) -> None:
        self._shards = shards
        self._rows = np.fromiter(rows, dtype=np.int64)
        self.device = device
        self._resident = None if device.type == "cpu" else torch.from_numpy(shards.take(self._rows)).to(device)

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, positions: Tensor) -> Tensor:
        """Return the rows at `positions` (int64, on `self.device`), in their stored type, on that device."""
        if self._resident is not None:
            return self._resident[positions]
        return torch.from_numpy(self._shards.take(self._rows[positions.numpy()]))


def batches(positions: Tensor, batch_size: int) -> Sequence[Tensor]:
    """Cut `positions` (n,) into batches."""
    return torch.split(positions, batch_size)


def as_image(stored: Tensor) -> Tensor:
    """Turn stored uint8 images (B, H, W) into network input: (B, 1, H, W) float32 in [0, 1], channels last."""
    image = stored.unsqueeze(1).float().div_(255)  # (B, 1, H, W)
    return image.contiguous(memory_format=torch.channels_last)
