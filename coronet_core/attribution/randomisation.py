"""Cascading randomisation (Adebayo et al. 2018), and how alike two maps are (Spearman's rank correlation)."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

from coronet_core.common.seeds import generator

Network = TypeVar("Network", bound=nn.Module)
AUTOENCODERS = ("tfen.healthy", "tfen.pneumonia")


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Spearman's correlation (B,) of maps (B, 1, H, W) with maps (B, 1, H, W); NaN where one of two is flat."""
    ranks = [_ranks(maps.flatten(1)) for maps in (first, second)]
    centred = [rank - rank.mean(dim=1, keepdim=True) for rank in ranks]
    deviations = [rank.square().sum(dim=1).sqrt() for rank in centred]
    return (centred[0] * centred[1]).sum(dim=1) / (deviations[0] * deviations[1])


def repeatability(runs: Tensor) -> Tensor:
    """Return the mean correlation (B,) of all pairs of runs; `runs` is (R, B, 1, H, W), R seeds, at least 2."""
    pairs = torch.combinations(torch.arange(len(runs))).tolist()
    return torch.stack([rank_correlation(runs[i], runs[j]) for i, j in pairs]).mean(dim=0)


def _ranks(values: Tensor) -> Tensor:
    """Return the rank of each value in its row, float64 (B, n); equal values share the mean of their ranks."""
    ascending = values.sort(dim=1).values
    below = torch.searchsorted(ascending, values)
    up_to = torch.searchsorted(ascending, values, right=True)
    return (below + up_to).double() / 2


def cascade(model: Network, levels: Mapping[str, Sequence[str]], seed: int) -> Iterator[tuple[str, Network]]:
    """Yield copies of `model`, by the level reached: the first level random, then the first two, and so on.

    `levels` are the submodules of each level, from the output to the input.
    """
    reached: list[str] = []
    for level, parts in levels.items():
        reached.extend(parts)
        yield level, randomised(model, reached, seed)


@torch.no_grad()
def randomised(model: Network, parts: Sequence[str], seed: int) -> Network:
    """Return a copy of `model` whose submodules `parts` have shuffled weights. `model` itself is left alone.

    A tensor's shuffle depends on the seed and its name alone, whatever else is shuffled.
    """
    copy = deepcopy(model)
    for part in parts:
        for name, weight in copy.get_submodule(part).named_parameters():
            order = torch.randperm(weight.numel(), generator=generator(seed, part, name)).to(weight.device)
            weight.copy_(weight.flatten()[order].view(weight.shape))
    return copy
