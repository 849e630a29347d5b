"""Which layers of the CIN are trained, how fast, and what the others are made to fit: the images at hand."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from coronet_core.classifier.architectures import Architecture
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import batches
from coronet_core.common.literals import FineTune
from coronet_core.common.seeds import generator

TRAINED_LEVELS: Final[dict[FineTune, int | None]] = {"all": None, "last_block": 2, "head": 1}
"""How many levels are trained, from the output on; None for all of them."""


@dataclass(frozen=True)
class TrainedLayers:
    """The layers of a network that are trained, and those that are not."""

    groups: list[tuple[list[nn.Parameter], float]]
    """Parameters, and the factor of their learning rate."""
    frozen: list[nn.Module]
    """They keep their weights and the statistics of their batch norms."""

    @classmethod
    def all_of(cls, network: nn.Module) -> "TrainedLayers":
        """Return all layers of `network`, at one learning rate."""
        return cls([(list(network.parameters()), 1.0)], [])


def trained_layers(
    network: nn.Module, architecture: Architecture, fine_tune: FineTune, rate_by_level: float
) -> TrainedLayers:
    """Freeze the layers of `network` that are not trained, and return the others.

    The head's learning rate is the whole one; each level before it has `rate_by_level` times that of the level behind
    it.
    """
    levels = [
        [network.get_submodule(name) for name in names] for names in architecture.levels
    ]  # from the output to the input
    n_trained = TRAINED_LEVELS[fine_tune] or len(levels)
    frozen = [module for level in levels[n_trained:] for module in level]
    for module in frozen:
        module.requires_grad_(requires_grad=False)
    if rate_by_level == 1 and not frozen:
        return TrainedLayers.all_of(network)
    groups = [
        ([parameter for module in level for parameter in module.parameters()], rate_by_level**depth)
        for depth, level in enumerate(levels[:n_trained])
    ]
    return TrainedLayers(groups, frozen)


def estimate_batch_norm(network: nn.Module, inputs: CinInputs, batch_size: int, seed: int) -> None:
    """Give all batch norms of `network` the statistics of `inputs`, in one pass.

    Those that come with pretrained weights describe photographs, and residual tensors are no photographs.
    """
    update_bn(shuffled_batches(inputs, batch_size, seed), network)


def shuffled_batches(inputs: CinInputs, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Yield whole batches of `inputs` in random order, (B, C, H, W); of fewer than a batch all.

    In the order of their files a batch would have images of one class, and its variance would be that within a class.
    """
    order = torch.randperm(len(inputs), generator=generator(seed, "batch norm")).to(inputs.device)
    n_whole = len(order) // batch_size * batch_size
    for positions in batches(order[: n_whole or None], batch_size):
        yield inputs.take(positions)


def input_batches(inputs: CinInputs, batch_size: int) -> Iterator[Tensor]:
    """Yield all inputs in order, (B, C, H, W)."""
    for positions in batches(torch.arange(len(inputs), device=inputs.device), batch_size):
        yield inputs.take(positions)


def warm_up_and_cosine(n_warm_up: int, n_steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate by step: rising from 0 in `n_warm_up` steps, then half a cosine to 0.

    Loshchilov and Hutter 2017, without restarts.
    """

    def factor(step: int) -> float:
        if step < n_warm_up:
            return (step + 1) / n_warm_up
        done = (step - n_warm_up) / max(1, n_steps - n_warm_up)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return factor


def warm_up(n_warm_up: int) -> Callable[[int], float]:
    """Return the factor of the learning rate by step: rising in `n_warm_up` steps, then 1."""
    return lambda step: min(1.0, (step + 1) / n_warm_up) if n_warm_up else 1.0
