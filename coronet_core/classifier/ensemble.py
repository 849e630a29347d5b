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


def member_outputs(cin: nn.Module, x: Tensor) -> Tensor:
    """Return log-probabilities (M, B, 3) of each network of `cin` for its input (B, C, H, W); logits if it is one."""
    if isinstance(cin, Ensemble):
        return cin.log_probabilities(x)
    logits: Tensor = cin(x)
    return logits[None]


def combined(outputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the logits (n, 3) of the CIN and the disagreement (n,) of its networks, from `member_outputs` (M, n, 3).

    The disagreement is in nats, from 0 to log 3; None for a single network, whose logits stay as they are.
    """
    return (outputs[0], None) if len(outputs) == 1 else (mean_of(outputs), disagreement(outputs))


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
