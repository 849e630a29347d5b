"""Image stacks on disk as memory-mapped NPY shards, and the tensors that training takes from them.

A shard is one NPY file of shape (n, ...); shards may differ in n. A stack numbers its rows through all of its
shards. Reading maps the files; only the rows asked for are read, so memory does not grow with the data set.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coronet_core.errors import DataError


def shard_path(folder: Path, shard: int) -> Path:
    """Return the path of shard number `shard` in `folder`."""
    return folder / f"shard-{shard:05d}.npy"


def write_shard(folder: Path, shard: int, rows: NDArray[Any]) -> Path:
    """Write `rows` as shard number `shard`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = shard_path(folder, shard)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, rows)
    partial.replace(path)
    return path


class Shards:
    """A stack of equally shaped arrays over memory-mapped shards, addressed by row number."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise DataError("no shards: the stage that writes them has not run. Run `coronet run` or `dvc repro`.")
        self._shards: list[NDArray[Any]] = [np.load(path, mmap_mode="r") for path in paths]
        self.starts: NDArray[np.int64] = np.cumsum([0, *(len(shard) for shard in self._shards)])
        """Number of the first row of each shard, and the number of all rows behind them."""

    @classmethod
    def in_folder(cls, folder: Path) -> "Shards":
        """Open all shards of `folder`."""
        return cls(sorted(folder.glob("shard-*.npy")))

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row, (H, W) of an image stack or (3, H, W) of a residual stack."""
        return self._shards[0].shape[1:]

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows `rows` in that order, (len(rows), ...), copied."""
        taken = np.empty((len(rows), *self.row_shape), dtype=self._shards[0].dtype)
        shards = np.searchsorted(self.starts, rows, side="right") - 1
        for shard in np.unique(shards):
            here = shards == shard
            taken[here] = self._shards[shard][rows[here] - self.starts[shard]]
        return taken


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
