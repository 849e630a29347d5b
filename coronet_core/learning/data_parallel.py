"""One training step on several processes: torch's DistributedDataParallel, and batch norm over the global batch."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from coronet_core.learning.ranks import Ranks

PLANES = (0, 2, 3)
Result = TypeVar("Result")


def _per_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)  # (1, C, 1, 1)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


class _Normalise(torch.autograd.Function):
    """x (B, C, H, W), w and b (C,) -> y like x; mean, variance and N of the whole batch, float64, without gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        exact = _at_least_float32(x)
        n_own = x.numel() // x.shape[1]
        mean = exact.sum(PLANES) / max(1, n_own)  # (C,) of this rank's part
        spread = (exact - _per_channel(mean)).square().sum(PLANES).double()
        mean = mean.double()
        sums = torch.cat([mean.new_tensor([n_own]), n_own * mean, spread + n_own * mean.square()])  # (1 + 2C,)
        dist.all_reduce(sums)
        n, total, squares = torch.split(sums, [1, len(mean), len(mean)])
        mean = total / n
        variance = (squares / n - mean.square()).clamp_min_(0)
        inverse_deviation = (variance + eps).rsqrt().to(exact.dtype)
        normalised = (exact - _per_channel(mean.to(exact.dtype))) * _per_channel(inverse_deviation)
        ctx.save_for_backward(normalised, weight, inverse_deviation, n)
        ctx.mark_non_differentiable(mean, variance, n)
        return (normalised * _per_channel(weight) + _per_channel(bias)).to(x.dtype), mean, variance, n

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        normalised, weight, inverse_deviation, n = ctx.saved_tensors
        exact = _at_least_float32(gradient)
        of_bias, of_weight = exact.sum(PLANES), (exact * normalised).sum(PLANES)  # (C,) each, this rank's part
        sums = torch.cat([of_bias, of_weight]).double()
        dist.all_reduce(sums)
        shift, slope = (_per_channel(part) for part in (sums / n).to(exact.dtype).chunk(2))
        of_x = _per_channel(weight * inverse_deviation) * (exact - shift - normalised * slope)
        return of_x.to(gradient.dtype), of_weight, of_bias, None


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm2d whose statistics in training are those of the batch of all ranks, (B, C, H, W) in and out.

    Its state dict is a BatchNorm2d's; in evaluation it is one. It keeps no state of a pass, so one module may be used
    several times in a pass, as FPAE uses its head's on all four levels.
    """

    def __init__(self, like: nn.BatchNorm2d) -> None:
        """Take over the settings of `like`, and its parameters and buffers themselves: an optimiser may hold them."""
        super().__init__(like.num_features, like.eps, like.momentum, like.affine, like.track_running_stats)
        self.weight, self.bias = like.weight, like.bias
        self.running_mean, self.running_var = like.running_mean, like.running_var
        self.num_batches_tracked = like.num_batches_tracked
        self.train(like.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        y: Tensor
        y, mean, variance, n = _Normalise.apply(x, self.weight, self.bias, self.eps)
        self._update(mean, variance * n / (n - 1))
        return y

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as BatchNorm2d does; the running variance is the unbiased one."""
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            running.mul_(1 - momentum).add_(new.to(running.dtype), alpha=momentum)


def use_global_batch_norm(model: nn.Module) -> None:
    """Put a GlobalBatchNorm2d in the place of each BatchNorm2d of `model` that is trained; frozen ones stay."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, GlobalBatchNorm2d) and _is_trained(child):
                setattr(parent, name, GlobalBatchNorm2d(child))


def _is_trained(norm: nn.BatchNorm2d) -> bool:
    return not norm.affine or norm.weight.requires_grad


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
