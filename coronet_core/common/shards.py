"""Stacks of images or residual tensors on disk, as memory-mapped NPY shards.

A shard is one NPY file of shape (n, ...), its checksum behind the array; shards may differ in n. A stack numbers its
rows through all of its shards. Reading maps the files; only the rows asked for are read, so memory does not grow with
the data set. A shard's checksum is checked when the first of its rows is read.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from coronet_core.support.checksums import (
    PLACEHOLDER,
    damaged_file,
    has_checksum,
    missing_file,
    require_intact,
    write_checksum,
)
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
    """Write `array` as an NPY file with a checksum, whole or not at all."""

    def save(partial: Path) -> None:
        with partial.open("wb") as file:  # np.save would add a suffix to the name
            np.save(file, array)
            file.write(PLACEHOLDER)
        write_checksum(partial)

    write_whole(path, save, durable=durable)


def read_array(path: Path) -> NDArray[Any]:
    """Return the array of an NPY file, memory-mapped. Raises DamagedFileError if the file is missing or damaged."""
    require_intact(path)
    return _mapped(path)


def _mapped(path: Path) -> np.memmap[Any, Any]:
    """Map an array without reading it. Raises DamagedFileError unless header and length fit."""
    try:
        array = open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # of whatever kind the parser of headers raises
        raise damaged_file(path, "not a whole array") from error
    behind = path.stat().st_size - array.offset - array.nbytes
    if behind not in (0, len(PLACEHOLDER)):  # older ones have no checksum
        raise damaged_file(path, "its length is not that of its array")
    if behind and not has_checksum(path):
        raise damaged_file(path, "its checksum cannot be read")
    return array


class Shards:
    """A stack of equally shaped arrays over memory-mapped shards, addressed by row number."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._shards = [_mapped(path) for path in paths]
        self._are_checked = [False] * len(paths)
        self.starts: NDArray[np.int64] = np.cumsum([0, *(len(shard) for shard in self._shards)])
        """Number of the first row of each shard, and the number of all rows behind them."""

    @classmethod
    def in_folder(cls, folder: Path, *, may_have_gaps: bool = False) -> "Shards":
        """Open all shards of `folder`.

        Raises DamagedFileError if there is none or, unless there `may_have_gaps`, a number is missing.
        """
        paths = sorted(folder.glob("shard-*.npy"))
        if not paths:
            raise missing_file(shard_path(folder, 0))
        for number, path in enumerate(paths):
            if path != (expected := shard_path(folder, number)) and not may_have_gaps:
                raise missing_file(expected)
        return cls(paths)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row, (H, W) of an image stack or (3, H, W) of a residual stack."""
        shape: tuple[int, ...] = self._shards[0].shape
        return shape[1:]

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows `rows` in that order, (len(rows), ...), copied.

        Raises DamagedFileError if a shard that has some of them is damaged or missing.
        """
        self._require_rows(rows)
        taken = np.empty((len(rows), *self.row_shape), dtype=self._shards[0].dtype)
        shards = np.searchsorted(self.starts, rows, side="right") - 1
        for shard in np.unique(shards):
            if not self._are_checked[shard]:
                require_intact(self._paths[shard])
                self._are_checked[shard] = True
            here = shards == shard
            taken[here] = self._shards[shard][rows[here] - self.starts[shard]]
        return taken

    def _require_rows(self, rows: NDArray[np.int64]) -> None:
        last = rows.max(initial=-1)
        if last >= len(self):
            raise missing_file(shard_path(self._paths[0].parent, len(self._paths)))
