"""The place of a stage's process among those that train together."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coronet_core.learning.ranks import ALONE, Ranks

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DistributedContext:
    """This process's place in its group."""

    ranks: Ranks
    device: "torch.device | None"
    """Where it computes; None leaves that to the stage."""


NO_GROUP = DistributedContext(ALONE, None)


def is_rank() -> bool:
    """Whether torchrun has started this process."""
    return "RANK" in os.environ


def ranks_on_host() -> int:
    """Return how many ranks of this process's group share its host, itself included."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
