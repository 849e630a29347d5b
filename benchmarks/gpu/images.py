"""Images by seed: blocks and grain, by numpy alone. What they show changes no time; zeros would."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, device, from_numpy

from coronet_core.common.batches import as_image

BLOCKS = 8
"""Along each side."""
GRAIN = 32
"""Grey levels of the noise."""


def drawn(n: int, side_px: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw `n` images (n, H, W); the side is a multiple of 8."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256 - GRAIN, (n, BLOCKS, BLOCKS), dtype=np.uint8)
    images = rng.integers(0, GRAIN, (n, side_px, side_px), dtype=np.uint8)
    images += blocks.repeat(side_px // BLOCKS, axis=1).repeat(side_px // BLOCKS, axis=2)
    return images


def image_batch(n: int, side_px: int, place: device) -> Tensor:
    """Return drawn images as network input, (n, 1, H, W) float32 in [0, 1], on `place`."""
    return as_image(from_numpy(drawn(n, side_px)).to(place))


class Stack:
    """Rows in memory, taken as `coronet_core.common.shards.Shards` takes them from disk."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows `rows`, copied."""
        return self.rows[rows]
