"""Cascading randomisation (Adebayo et al. 2018): a map that explains a network changes when its weights do.

From the output to the input, level after level of the CIN loses what it has learnt; then each autoencoder alone. A
method whose maps stay the same draws edges, not explanations.

Weights are lost by shuffling each tensor's values. Adebayo et al. draw them anew from their initial distribution;
shuffled, they keep the trained scale too, so that a random network still answers with probabilities that depend on
its input. Batch norm's running statistics stay.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from coronet_core.common.seeds import generator

Network = TypeVar("Network", bound=nn.Module)

CIN_LEVELS = ("cin.fc", "cin.layer4", "cin.layer3", "cin.layer2", "cin.layer1", "cin.conv1")
"""Levels of CoroNet's ResNet-18 from the output to the input."""
STEM = {"cin.conv1": ("cin.conv1", "cin.bn1")}
"""The first convolution loses its batch norm too: no block holds it."""
AUTOENCODERS = ("tfen.healthy", "tfen.pneumonia")


def cascade(model: Network, levels: Sequence[str], seed: int) -> Iterator[tuple[str, Network]]:
    """Yield copies of `model`, by the level reached: the first level random, then the first two, and so on."""
    for n_random in range(1, len(levels) + 1):
        yield levels[n_random - 1], randomised(model, levels[:n_random], seed)


@torch.no_grad()
def randomised(model: Network, levels: Sequence[str], seed: int) -> Network:
    """Return a copy of `model` whose submodules `levels` have shuffled weights. `model` itself is left alone.

    A tensor's shuffle depends on the seed and its name alone, whatever else is shuffled.
    """
    copy = deepcopy(model)
    for part in (part for level in levels for part in STEM.get(level, (level,))):
        for name, weight in copy.get_submodule(part).named_parameters():
            order = torch.randperm(weight.numel(), generator=generator(seed, part, name)).to(weight.device)
            weight.copy_(weight.flatten()[order].view(weight.shape))
    return copy
