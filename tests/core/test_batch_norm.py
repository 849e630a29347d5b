"""Batch norm of few channels against torch's own."""

import pytest
import torch
from torch import Tensor, nn

from coronet_core.models.batch_norm import BatchNorm2d, _Normalise

Shape = tuple[int, int, int, int]


def outcome(norm: nn.BatchNorm2d, x: Tensor, gradient: Tensor) -> list[Tensor]:
    """Two passes with their gradients: running statistics of the second hold something of the first."""
    found = []
    for factor in (1, 2):
        given = (factor * x).requires_grad_()
        y = norm(given)
        found += [y, *torch.autograd.grad(y, [given, norm.weight, norm.bias], gradient)]
    return [*found, *norm.buffers()]


def pair(channels: int, dtype: torch.dtype) -> list[nn.BatchNorm2d]:
    torch.manual_seed(1)
    norms: list[nn.BatchNorm2d] = [kind(channels).to(dtype) for kind in (nn.BatchNorm2d, BatchNorm2d)]
    weights = norms[0].state_dict() | {"weight": torch.rand(channels) + 0.5, "bias": torch.randn(channels)}
    for norm in norms:
        norm.load_state_dict(weights)
    return norms


def batch(shape: Shape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    x, gradient = torch.randn(2, *shape, dtype=dtype)
    return 3 * x + 1, gradient


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(2, 8, 4, 6), (3, 12, 8, 8), (1, 24, 2, 2), (5, 12, 1, 1), (2, 16, 4, 4)])
def test_numbers_and_statistics_are_torchs(shape: Shape, memory_format: torch.memory_format) -> None:
    norms = pair(shape[1], torch.float64)
    x, gradient = batch(shape, torch.float64)
    x, gradient = x.contiguous(memory_format=memory_format), gradient.contiguous(memory_format=memory_format)
    expected, found = (outcome(norm, x, gradient) for norm in norms)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_in_bfloat16_it_is_as_near_to_float32_as_torchs() -> None:
    shape = (8, 12, 32, 32)
    theirs, mine = pair(12, torch.float32)
    x, gradient = batch(shape, torch.float32)
    x, gradient = x.bfloat16().float(), gradient.bfloat16().float()
    exact = outcome(pair(12, torch.float32)[0], x, gradient)[1:4]
    errors = [
        [float((a.float() - b).abs().mean()) for a, b in zip(found[1:4], exact, strict=True)]
        for found in (outcome(norm, x.bfloat16(), gradient.bfloat16()) for norm in (theirs, mine))
    ]
    assert all(ours < 1.5 * torchs + 1e-3 for torchs, ours in zip(*errors, strict=True))


def test_its_own_gradient_is_used_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.Size] = []

    def noted(x: Tensor, *_: object) -> Tensor:
        calls.append(x.shape)
        return x

    monkeypatch.setattr(_Normalise, "apply", noted)
    norm, x = BatchNorm2d(12), torch.randn(2, 12, 4, 4)
    norm(x)
    norm.eval()(x)
    assert calls == [x.shape]


def test_one_value_a_channel_is_refused_as_by_torch() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        BatchNorm2d(12)(torch.randn(1, 12, 1, 1))
