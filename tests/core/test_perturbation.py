"""Meaningful perturbation on models whose important region is known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from coronet_core.attribution.perturbation import Perturbation, perturbation_maps, shifted, total_variation
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN, freeze
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.coronet import CoroNet

SETTINGS = Perturbation(
    mask_size_px=8,
    mask_blur_radius_px=1.0,
    null_blur_radius_px=6.0,
    l1_weight=0.005,
    tv_weight=0.01,
    tv_beta=3.0,
    tv_norm="isotropic",
    learning_rate=0.1,
    iterations=60,
    jitter_px=1,
    seed=0,
)


def looks_at_a_corner(image: Tensor) -> Tensor:
    """Probabilities (B, 3) that depend on the top left quarter's contrast alone."""
    quarter = image[:, :, :16, :16]
    evidence = 40 * quarter.var(dim=(1, 2, 3)) - 2
    return torch.stack([evidence, -evidence, torch.zeros_like(evidence)], dim=1).softmax(dim=1)


@pytest.fixture
def image() -> Tensor:
    board = (torch.arange(32)[:, None] // 2 + torch.arange(32) // 2) % 2
    return board.float().expand(3, 1, 32, 32) * torch.tensor([1.0, 0.9, 0.8]).view(3, 1, 1, 1)


def test_map_finds_the_region_that_the_model_looks_at(image: Tensor) -> None:
    maps = perturbation_maps(looks_at_a_corner, image, torch.zeros(3, dtype=torch.int64), SETTINGS)
    assert maps.shape == (3, 1, 32, 32)
    inside, outside = maps[:, :, :14, :14].mean(), maps[:, :, 18:, 18:].mean()
    assert inside > 3 * outside


def test_a_batch_gives_each_image_the_map_that_it_gets_alone(image: Tensor) -> None:
    target = torch.tensor([0, 1, 2])
    together = perturbation_maps(looks_at_a_corner, image, target, SETTINGS)
    for i in range(3):
        alone = perturbation_maps(looks_at_a_corner, image[i : i + 1], target[i : i + 1], SETTINGS)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


def test_a_batch_goes_through_the_whole_network_as_each_image_does_alone() -> None:
    """In float64: what differs is the method's doing then, not rounding's."""
    coronet = CoroNet(TFEN(FPAE(), FPAE()), build_cin()).double()
    freeze(coronet, torch.device("cpu"))
    image, target = torch.rand(3, 1, 32, 32, dtype=torch.float64), torch.tensor([0, 1, 2])
    settings = replace(SETTINGS, iterations=12)

    def probabilities(x: Tensor) -> Tensor:
        return coronet.cin(coronet.tfen(x)).softmax(dim=1)  # the network's own are float32

    together = perturbation_maps(probabilities, image, target, settings)
    for i in range(3):
        alone = perturbation_maps(probabilities, image[i : i + 1], target[i : i + 1], settings)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-6, rtol=0)


def test_the_seed_decides_the_map(image: Tensor) -> None:
    target = torch.zeros(3, dtype=torch.int64)
    short = replace(SETTINGS, iterations=3)
    first = perturbation_maps(looks_at_a_corner, image, target, short)
    assert torch.equal(first, perturbation_maps(looks_at_a_corner, image, target, short))
    assert not torch.equal(first, perturbation_maps(looks_at_a_corner, image, target, replace(short, seed=1)))


@pytest.mark.parametrize(
    ("norm", "beta", "expected"),
    [("anisotropic", 3.0, 2.0), ("isotropic", 2.0, 2.0), ("isotropic", 1.0, 2**0.5)],
)
def test_total_variation_of_one_dark_corner(norm: str, beta: float, expected: float) -> None:
    mask = torch.tensor([[[[0.0, 1.0], [1.0, 1.0]]]])  # one pixel differs from its right and its lower neighbour
    assert total_variation(mask, beta, norm).item() == pytest.approx(expected)


def test_total_variation_of_a_flat_mask_has_a_finite_gradient() -> None:
    mask = torch.ones(1, 1, 4, 4, requires_grad=True)
    total_variation(mask, 1.0, "isotropic").sum().backward()
    assert mask.grad is not None
    assert torch.isfinite(mask.grad).all()


def test_a_shift_repeats_the_border() -> None:
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert shifted(image, 1, 0)[0, 0].tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert shifted(image, 0, 1)[0, 0].tolist() == [[1.0, 1.0], [3.0, 3.0]]
