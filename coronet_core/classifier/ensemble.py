"""Several networks as one CIN: their probabilities are averaged, and so are those of an input and its mirror image."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Member(nn.Module):
    """A network that reads some of the CIN's channels."""

    def __init__(self, network: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.channels = list(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's logits (B, 3) for the CIN's input (B, C, H, W)."""
        logits: Tensor = self.network(x[:, self.channels])
        return logits


class Ensemble(nn.Module):
    """Members of equal weight. Its logits are the logarithms of the mean probabilities.

    So softmax gives these back, and whatever takes a CIN takes an ensemble: calibration, maps, export.
    """

    def __init__(self, members: Sequence[Member], *, average_flips: bool) -> None:
        """With `average_flips` each member reads the input and its mirror image, flipped left to right."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self.average_flips = average_flips

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 3), the logarithms of probabilities, for the CIN's input (B, C, H, W)."""
        return mean_of(self.log_probabilities(x))

    def log_probabilities(self, x: Tensor) -> Tensor:
        """Return what each member says, (M, B, 3) float32; with `average_flips` of the input and its mirror image."""
        views = [x, x.flip(3)] if self.average_flips else [x]
        each = [torch.stack([member(view).float().log_softmax(1) for view in views]) for member in self.members]
        return torch.stack([mean_of(said) for said in each])


def said_by_each(cin: nn.Module, x: Tensor) -> Tensor:
    """Return what each network of `cin` says of its input (B, C, H, W), (M, B, 3); of a single one its logits."""
    if isinstance(cin, Ensemble):
        return cin.log_probabilities(x)
    logits: Tensor = cin(x)
    return logits[None]


def together(said: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the logits (n, 3) of what each network says, (M, n, 3), and by how much they differ, (n,) in nats.

    A single network has its logits as they are, and None.
    """
    return (said[0], None) if len(said) == 1 else (mean_of(said), disagreement(said))


def mean_of(log_probabilities: Tensor) -> Tensor:
    """Return the logarithm of the mean over the first dimension: (M, ...) to (...)."""
    return log_probabilities.logsumexp(0) - math.log(len(log_probabilities))


def disagreement(log_probabilities: Tensor) -> Tensor:
    """Return by how much members differ, (B,) in nats from 0 to log 3, for what they say, (M, B, 3).

    The entropy of the mean prediction less the mean of the members' entropies: the mutual information of prediction
    and member (Depeweg et al. 2018). 0 if all say the same, however unsure they are.
    """
    return (_entropy(mean_of(log_probabilities)) - _entropy(log_probabilities).mean(0)).clamp_min(0)


def _entropy(log_probabilities: Tensor) -> Tensor:
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
