"""Batch norm of numbers of channels that do not fill a CPU's vector registers.

torch's gradient takes the channels of a pixel 16 at a time and those left over one by one: with 12 channels ten times
as long as with 16 (benchmarks/LOG.md). Here so many pixels are seen as one that their channels are a multiple of 16.
The sums of several such channels then belong together, and with N values a channel

    x^ = (x - mean) / deviation,  y = w x^ + b
    dL/dx = w / deviation * (dL/dy - sum(dL/dy) / N - x^ sum(dL/dy x^) / N)

is a multiple of dL/dy and a multiple of x, plus a number, each of its channel.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LANES = 16


class BatchNorm2d(nn.BatchNorm2d):
    """torch's, with the same parameters, buffers and numbers up to the order of sums; (B, C, H, W) in and out."""

    def __init__(self, channels: int) -> None:
        """By torch's defaults: weight and bias, and running statistics that move by a tenth."""
        super().__init__(channels)

    def forward(self, x: Tensor) -> Tensor:
        pixels = _pixels_seen_as_one(self.num_features)
        if not self.training or x.device.type != "cpu" or pixels == 1 or x[:, 0].numel() % pixels != 0:
            return super().forward(x)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        y: Tensor = _Normalise.apply(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps
        )
        return y


class _Normalise(torch.autograd.Function):
    """torch's batch norm in training, with a gradient of its own."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        y, mean, inverse_deviation = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, training=True, momentum=momentum, eps=eps
        )
        ctx.save_for_backward(x, weight, mean, inverse_deviation)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse_deviation = ctx.saved_tensors
        shape, n = x.shape, x.numel() // x.shape[1]
        pixels = _pixels_seen_as_one(x.shape[1])
        x, gradient = _folded(x, pixels), _folded(gradient, pixels)
        centre = mean.repeat(pixels)
        _, products, sums = _scaled(gradient, x, torch.ones_like(centre), centre, [False, True, True])
        of_bias = sums.view(pixels, -1).sum(0)  # (C,), as all that follow
        of_weight = products.view(pixels, -1).sum(0) * inverse_deviation
        scale = weight * inverse_deviation
        slope = -scale * inverse_deviation * of_weight / n
        shift = -scale * of_bias / n - slope * mean
        of_x, _, _ = _scaled(gradient, x, scale.repeat(pixels), centre, [True, False, False])
        of_x += _affine(x, slope.repeat(pixels), shift.repeat(pixels))
        return _unfolded(of_x, shape), of_weight, of_bias, None, None, None, None


def _pixels_seen_as_one(channels: int) -> int:
    return math.lcm(channels, LANES) // channels


def _folded(x: Tensor, pixels: int) -> Tensor:
    """(B, C, H, W) -> (1, pixels C, 1, B H W / pixels), the same memory if it is channels last."""
    last = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)  # (B, H, W, C)
    return last.reshape(1, 1, -1, pixels * x.shape[1]).permute(0, 3, 1, 2)


def _unfolded(x: Tensor, shape: torch.Size) -> Tensor:
    batch, channels, height, width = shape
    return x.permute(0, 2, 3, 1).reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _affine(x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    """Return slope x + shift by channel: batch norm by a mean of 0 and a variance of 1."""
    zeros, ones = torch.zeros_like(slope), torch.ones_like(slope)
    return torch.native_batch_norm(x, slope, shift, zeros, ones, training=False, momentum=0.0, eps=0.0)[0]


def _scaled(
    gradient: Tensor, x: Tensor, scale: Tensor, mean: Tensor, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scale gradient and, by channel, sum(gradient (x - mean)) and sum(gradient), as far as `wanted`.

    It is the gradient of batch norm by given statistics, a variance of 1 among them.
    """
    made: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        gradient, x, scale, mean, torch.ones_like(mean), None, None, train=False, eps=0.0, output_mask=wanted
    )
    return made
