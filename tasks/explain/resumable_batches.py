"""Work on the chosen images in batches. Batches that a killed run has finished are not repeated."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from coronet_core.common.batches import as_image, batches
from coronet_core.common.classes import CLASSES
from tasks.runtime.progress import Progress
from tasks.runtime.resume import Arrays, keep_arrays, read_kept_arrays


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some of the chosen images, on the device."""

    rows: Tensor
    """Positions among the chosen images (b,) int64, on the CPU."""
    names: list[str]
    image: Tensor
    """(b, 1, H, W) float32 in [0, 1]."""
    target: Tensor
    """Classes to explain, (b,) int64."""
    on_pass: Callable[[], object]
    """Called after each pass of the batch through the network."""


class ExplanationWork:
    """The chosen images, and the folder with the finished batches."""

    def __init__(
        self,
        chosen: pd.DataFrame,
        stored: NDArray[np.uint8],
        batch_size: int,
        device: torch.device,
        folder: Path,
        bar: Progress,
    ) -> None:
        """`stored` are the images (n, H, W) in the order of `chosen`."""
        self.everything = torch.arange(len(chosen))
        self.size: tuple[int, int] = stored.shape[1:]
        self._names = chosen["image_id"].tolist()
        self._stored = torch.from_numpy(stored)
        self._targets = torch.tensor([CLASSES.index(label) for label in chosen["explained"]])
        self._batch_size = batch_size
        self._device = device
        self._folder = folder
        self._bar = bar

    def in_batches(self, name: str, rows: Tensor, passes: int, make: Callable[[Batch], Arrays]) -> Arrays:
        """Apply `make` to the images at `rows` in batches and return the concatenated arrays.

        `name` is the prefix of the stored files; `passes` is the number of passes per image, for the progress bar.
        """
        parts = [self._one(name, batch, passes, make) for batch in batches(rows, self._batch_size)]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _one(self, name: str, rows: Tensor, passes: int, make: Callable[[Batch], Arrays]) -> Arrays:
        path = self._folder / f"{name}-{int(rows[0]):05d}.npz"
        ahead = iter(range(passes))
        made = read_kept_arrays(path)
        if made is None:
            made = make(self._batch(rows, ahead))
            keep_arrays(path, made)
        self._bar.advance(len(list(ahead)) * len(rows))  # what was not counted pass by pass
        return made

    def _batch(self, rows: Tensor, ahead: Iterator[Any]) -> Batch:
        def on_pass() -> None:
            if next(ahead, None) is not None:
                self._bar.advance(len(rows))

        return Batch(
            rows=rows,
            names=[self._names[row] for row in rows.tolist()],
            image=as_image(self._stored[rows].to(self._device)),
            target=self._targets[rows].to(self._device),
            on_pass=on_pass,
        )
