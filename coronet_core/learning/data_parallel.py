"""One training step on several processes: torch's DistributedDataParallel around a network's pass."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from coronet_core.learning.global_batch_norm import use_global_batch_norm
from coronet_core.learning.ranks import Ranks

Result = TypeVar("Result")


def data_parallel(step: Callable[..., Result], model: nn.Module, ranks: Ranks) -> Callable[..., Result]:
    """Return `step` with its first argument, `model`, given; on several ranks its gradients are those of all of them.

    Each rank's result must be its part of the whole batch's: the gradients are summed, not averaged. Batch norm
    works on the batch of all ranks. The ranks begin with rank 0's weights. One process is given `step` as it is.
    """
    if ranks.size == 1:
        return partial(step, model)
    use_global_batch_norm(model)
    parallel = DistributedDataParallel(_Step(step, model), forward_sync_buffers=False)  # they are equal by themselves
    parallel.register_comm_hook(None, _sum)
    return parallel


class _Step(nn.Module):
    """A step as a module. DDP sees a module's `forward` alone, and eq. (3) runs the encoder once more by itself."""

    def __init__(self, step: Callable[..., Any], model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._step = step

    def forward(self, *arguments: object) -> Any:
        return self._step(self.model, *arguments)


def _sum(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]  # missing in its stubs
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: done.value()[0])
