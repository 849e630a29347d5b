"""Captum's methods through the whole network: right by hand, the same in a batch, and nothing left behind."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from coronet_core.attribution.blur import blur
from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.coronet import CoroNet
from coronet_core.support.callbacks import noop
from tasks.explain.grad_cam import grad_cam_maps
from tasks.explain.integrated_gradients import integrated_gradients_maps
from tasks.explain.methods import healthy_reconstruction, maps_of
from tasks.explain.resumable_batches import Batch
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.explain import IntegratedGradientsParams
from tests.conftest import PARAMS

SETTINGS = IntegratedGradientsParams(steps=64, null_blur_radius_px=3.0)


class Half(nn.Module):
    """An autoencoder that reconstructs half of the brightness: the residual is X / 2."""

    def forward(self, image: Tensor) -> "Half.Output":
        return Half.Output(image / 2)

    class Output:
        def __init__(self, reconstruction: Tensor) -> None:
            self.reconstruction = reconstruction


class SmallCin(nn.Module):
    """Sums the top left quarter of the first residual in four cells, for class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layer4 = nn.AvgPool2d(8)
        self.fc = nn.Linear(4, 3)
        with torch.no_grad():
            self.fc.weight.zero_()
            self.fc.weight[1, 0] = 4.0
            self.fc.bias.zero_()

    def forward(self, residual: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer4(residual[:, :1]).flatten(1))
        return logits


@pytest.fixture
def coronet() -> CoroNet:
    network = CoroNet(TFEN(Half(), Half()), SmallCin()).eval()  # type: ignore[arg-type]
    return network.requires_grad_(requires_grad=False)


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 1, 16, 16)


def test_integrated_gradients_by_hand(coronet: CoroNet, image: Tensor) -> None:
    """All pixels of the quarter have the same gradient, and all shares together are p(X) - p(blurred X)."""
    quarter, null = torch.zeros(16, 16), blur(image, SETTINGS.null_blur_radius_px)
    quarter[:8, :8] = 1
    rise, change = (
        coronet(image).probabilities[:, 1] - coronet(null).probabilities[:, 1],
        ((image - null) * quarter).sum((1, 2, 3)),
    )
    expected = ((rise / change)[:, None, None, None] * (image - null) * quarter).clamp_min(0)
    maps = integrated_gradients_maps(coronet, image, torch.ones(3, dtype=torch.int64), SETTINGS)
    torch.testing.assert_close(maps, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("method", ["perturbation", "occlusion", "integrated_gradients"])
def test_healthy_reconstruction_takes_the_place_of_the_blur(coronet: CoroNet, image: Tensor, method: str) -> None:
    """AE_H reconstructs X / 2, which has no evidence for class 1 left but half of it."""
    params = replace(read_params(PARAMS).explain, null_image="healthy_reconstruction")
    params = replace(
        params,
        perturbation=replace(params.perturbation, mask_size_px=4, iterations=3),
        occlusion=replace(params.occlusion, window_px=4, stride_px=4),
    )
    batch = Batch(
        rows=torch.arange(3),
        names=["a", "b", "c"],
        image=image,
        target=torch.ones(3, dtype=torch.int64),
        on_pass=noop,
    )
    torch.testing.assert_close(healthy_reconstruction(coronet, image), image / 2)
    found = maps_of(method, coronet, batch, params, 1)
    blurred = maps_of(method, coronet, batch, replace(params, null_image="blur"), 1)
    assert not torch.allclose(found, blurred)
    if method == "integrated_gradients":
        rise = coronet(image).probabilities[:, 1] - coronet(image / 2).probabilities[:, 1]
        torch.testing.assert_close(found.sum((1, 2, 3)), rise, atol=1e-4, rtol=1e-3)


def test_grad_cam_by_hand(coronet: CoroNet, image: Tensor) -> None:
    """Of the logit 4 x mean residual, the gradient is 4 in one of four cells: its mean, 1, weighs all cells."""
    maps = grad_cam_maps(coronet, image, torch.ones(3, dtype=torch.int64))
    cells = nn.functional.avg_pool2d(image / 2, 8)
    expected = nn.functional.interpolate(cells, size=(16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(maps, expected)


def test_a_batch_gives_each_image_the_map_that_it_gets_alone(coronet: CoroNet, image: Tensor) -> None:
    target = torch.tensor([0, 1, 2])
    together = [integrated_gradients_maps(coronet, image, target, SETTINGS), grad_cam_maps(coronet, image, target)]
    for i in range(3):
        one, its = image[i : i + 1], target[i : i + 1]
        alone = [integrated_gradients_maps(coronet, one, its, SETTINGS), grad_cam_maps(coronet, one, its)]
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[i : i + 1], part)


def test_nothing_is_left_behind_after_an_error_either(coronet: CoroNet, image: Tensor) -> None:
    grad_cam_maps(coronet, image, torch.tensor([0, 1, 2]))
    with pytest.raises(RuntimeError, match="out of bounds"):
        grad_cam_maps(coronet, image, torch.tensor([0, 1, 3]))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in coronet.modules())
    assert not any(weight.requires_grad for weight in coronet.parameters())
    assert not image.requires_grad
    assert image.grad is None
