"""How alike two maps are: Spearman's rank correlation of their pixels.

Used twice. Repeatability: maps of one network under other seeds should be alike. Randomisation: maps of a network and
of the same one with random weights should not be.
"""

import torch
from torch import Tensor


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
