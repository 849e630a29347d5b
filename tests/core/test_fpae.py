"""The feature-pyramid autoencoder against what the authors released."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.gpu.released import released_autoencoders
from coronet_core.autoencoder.fpae import FPAE, TransposedConv
from coronet_core.autoencoder.residual_tensor import TFEN

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "reference" / "golden_fpae.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def released(shared: Path) -> TFEN:
    return released_autoencoders(shared / "reference")


@pytest.mark.parametrize("label", ["healthy", "pneumonia"])
def test_released_autoencoder_reproduces_the_golden_arrays(
    golden: dict[str, Tensor], released: TFEN, label: str
) -> None:
    image = golden["input_uint8"].float() / 255
    with torch.inference_mode():
        reconstruction, latent = getattr(released, label)(image)
    assert (reconstruction - golden[f"reconstruction_{label}"]).abs().max() < TOLERANCE
    assert (latent - golden[f"latent_coarse_{label}"]).abs().max() < TOLERANCE


def test_released_autoencoders_reproduce_the_golden_residual_tensor(golden: dict[str, Tensor], released: TFEN) -> None:
    with torch.inference_mode():
        residual = released(golden["input_uint8"].float() / 255)
    assert (residual - golden["residual_tensor"]).abs().max() < TOLERANCE


def test_parameter_count_is_that_of_the_release() -> None:
    assert sum(parameter.numel() for parameter in FPAE().parameters()) == 53_659


@pytest.mark.parametrize(("latent", "shape"), [("pyramid", (2, 32, 64, 48)), ("coarsest", (2, 8, 8, 6))])
def test_latent_is_the_pyramid_or_its_coarsest_level(latent: str, shape: tuple[int, ...]) -> None:
    reconstruction, z = FPAE(latent)(torch.rand(2, 1, 64, 48))
    assert reconstruction.shape == (2, 1, 64, 48)
    assert z.shape == shape


def test_encode_returns_the_latent_of_the_whole_pass() -> None:
    autoencoder, image = FPAE().eval(), torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(autoencoder.encode(image), autoencoder(image).latent)


def test_reconstruction_stays_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert FPAE()(torch.rand(1, 1, 64, 64)).reconstruction.dtype == torch.float32


def test_a_transposed_convolution_as_a_convolution_gives_its_numbers_and_gradients() -> None:
    ours = TransposedConv(3, 5).double()
    torchs = torch.nn.ConvTranspose2d(3, 5, 3, padding=1).double()
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), torchs(x))
    for layer in (ours, torchs):
        layer(x).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, torchs.bias.grad)
