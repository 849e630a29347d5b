"""The pixels of a map, from the most to the least salient."""

import torch
from torch import Tensor

from coronet_core.common.seeds import generator

TIES_SEED = 0


def salience_order(salience: Tensor) -> Tensor:
    """Return the pixels of maps (B, 1, H, W) from the most to the least salient: their places (B, H * W) int64.

    Equal pixels (a mask clamped at 1, a gradient of 0) follow one another in a random order, the same for all images
    and runs. In the order of their rows, a flat map would be one that looks from top to bottom.
    """
    flat = salience.flatten(1)  # (B, H * W)
    places = torch.randperm(flat.shape[1], generator=generator(TIES_SEED, "ties")).to(flat.device)
    return places[flat[:, places].argsort(dim=1, descending=True, stable=True)]
