"""Stacks of images or residual tensors on disk, as memory-mapped NPY shards.

A shard is one NPY file of shape (n, ...); shards may differ in n. A stack numbers its rows through all of its
shards. Reading maps the files; only the rows asked for are read, so memory does not grow with the data set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole


def shard_path(folder: Path, shard: int) -> Path:
    """Return the path of shard number `shard` in `folder`."""
    return folder / f"shard-{shard:05d}.npy"


def write_shard(folder: Path, shard: int, rows: NDArray[Any], *, durable: bool = True) -> Path:
    """Write `rows` as shard number `shard`, whole or not at all."""
    path = shard_path(folder, shard)
    write_array(path, rows, durable=durable)
    return path


def write_array(path: Path, array: NDArray[Any], *, durable: bool = True) -> None:
    """Write `array` as an NPY file, whole or not at all."""

    def save(partial: Path) -> None:
        with partial.open("wb") as file:  # np.save would add a suffix to the name
            np.save(file, array)

    write_whole(path, save, durable=durable)


class Shards:
    """A stack of equally shaped arrays over memory-mapped shards, addressed by row number."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise DataError(
                "no shards found: the stage that writes them has not run. Run `coronet run` or `dvc repro`."
            )
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
