"""Maps that know nothing of the network: what a method has to beat."""

from collections.abc import Sequence

import torch
from torch import Tensor

from coronet_core.attribution.blur import blur
from coronet_core.common.seeds import generator

GRAIN = 1 / 16
"""Standard deviation of the random maps' blur, as a fraction of the image's shorter side."""
CENTRE_WIDTH = 1 / 4
"""Standard deviation of the centre map, as a fraction of each side."""


def random_maps(names: Sequence[str], height: int, width: int, seed: int) -> Tensor:
    """Return a map of smooth noise for each of `names`, (B, 1, H, W) float32 in [0, 1], by seed and name."""
    noise = [torch.randn(1, height, width, generator=generator(seed, "random map", name)) for name in names]
    smooth = blur(torch.stack(noise), GRAIN * min(height, width))  # (B, 1, H, W)
    low, high = smooth.amin((1, 2, 3), keepdim=True), smooth.amax((1, 2, 3), keepdim=True)
    return (smooth - low) / (high - low)


def centre_map(height: int, width: int) -> Tensor:
    """Return the map (1, 1, H, W) float32 in (0, 1] of one who looks at the middle of every image."""
    rows, columns = (((torch.arange(side) + 0.5) / side - 0.5) / CENTRE_WIDTH for side in (height, width))
    return torch.exp(-(rows[:, None] ** 2 + columns**2) / 2)[None, None]
