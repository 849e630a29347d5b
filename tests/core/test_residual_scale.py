"""The scale of the residual tensor, from other images' residuals and from files."""

import numpy as np
import pytest
import torch
from torch import Tensor

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_scale import ResidualScale, scale_from, standardised, z_map
from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.support.errors import DataError, WeightsError

RNG = np.random.default_rng(0)
RESIDUALS = (RNG.random((7, 3, 64, 64)) * np.array([0.1, 0.2, 0.3])[:, None, None]).astype(np.float16)
PARTS = [RESIDUALS[:4], RESIDUALS[4:]]


def test_standardised_channels_have_mean_0_and_deviation_1() -> None:
    scaled = standardised(PARTS)(torch.from_numpy(RESIDUALS).float())
    torch.testing.assert_close(scaled.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_a_channel_without_spread_stays_finite() -> None:
    assert bool(standardised([np.full((2, 3, 8, 8), 0.5, np.float16)])(torch.full((1, 3, 8, 8), 0.5)).isfinite().all())


def test_a_z_map_divides_by_the_local_mean() -> None:
    """Errors are four times as large on the right: far from the edge between, both sides come to 1."""
    errors = np.full((2, 3, 64, 64), 0.01, np.float16)
    errors[..., 32:] = 0.04
    scaled = z_map([errors])(torch.from_numpy(errors).float())
    torch.testing.assert_close(scaled[..., :29], torch.ones(2, 3, 64, 29))
    torch.testing.assert_close(scaled[..., 35:], torch.ones(2, 3, 64, 29))
    assert float(scaled[..., 31].max()) < 1 < float(scaled[..., 32].min())


def test_a_z_map_divides_by_a_twentieth_of_the_mean_where_all_images_are_black() -> None:
    errors = np.zeros((1, 3, 64, 64), np.float16)
    errors[..., 32:] = 0.25
    unit = z_map([errors]).unit
    torch.testing.assert_close(unit[:, :, :20], torch.full((3, 64, 20), 0.125 / 20))


@pytest.mark.parametrize(("made", "which"), [(standardised, "training"), (z_map, "healthy validation")])
def test_without_images_there_is_no_scale(made: object, which: str) -> None:
    with pytest.raises(DataError, match=f"no {which} images.*Set residuals.scale to none"):
        made([])  # type: ignore[operator]


def test_the_whole_network_reads_what_is_stored_up_to_rounding() -> None:
    tfen, image = TFEN(FPAE(), FPAE()).eval(), torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        plain = tfen(image)
        tfen.scale = ResidualScale(torch.full((3, 1, 1), 0.1), torch.rand(3, 64, 64) + 0.5)
        stored = tfen.scaled_as_stored(plain.half().numpy())
        torch.testing.assert_close(tfen(image), torch.from_numpy(stored).float(), atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(tfen.residual(image), plain)


def state(**changes: Tensor) -> dict[str, Tensor]:
    return {"offset": torch.zeros(3, 1, 1), "unit": torch.ones(3, 64, 64)} | changes


def test_a_scale_comes_back_from_its_state() -> None:
    made = z_map(PARTS)
    found = scale_from(made.state_dict(), "a.safetensors", 64)
    assert torch.equal(found.unit, made.unit)
    assert torch.equal(found.offset, made.offset)
    scale_from(state(), "a.safetensors")


@pytest.mark.parametrize(
    "changed",
    [
        {"unit": torch.zeros(3, 1, 1)},
        {"unit": -torch.ones(3, 1, 1)},
        {"unit": torch.ones(3, 32, 32)},
        {"unit": torch.ones(3, 64, 32)},
        {"unit": torch.ones(4, 1, 1)},
        {"unit": torch.ones(3)},
        {"unit": torch.ones(())},
        {"offset": torch.zeros(3, 1, 1, dtype=torch.float64)},
        {"offset": torch.full((3, 1, 1), float("nan"))},
        {"more": torch.zeros(1)},
    ],
    ids=str,
)
def test_what_is_no_scale_is_refused(changed: dict[str, Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"^a\.safetensors: .*materialize_residuals"):
        scale_from(state(**changed), "a.safetensors", 64)
