"""What can differ from the paper's autoencoder: its architecture, what it is shown in training, SSIM."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from coronet_core.autoencoder.architecture import ARCHITECTURE_KEY, PAPER, Architecture, architecture_of, metadata_of
from coronet_core.autoencoder.corruption import Corruption, corrupted, draw, hidden_squares
from coronet_core.autoencoder.fpae import FPAE, N_SKIPS
from coronet_core.autoencoder.objective import autoencoder_loss, ssim
from coronet_core.support.errors import WeightsError

CPU = torch.device("cpu")
NARROW = Architecture(adds_image=False, has_skips=False, latent_channels=2, finest_stride=4)


@pytest.mark.parametrize(
    ("architecture", "channels"),
    [
        (PAPER, 32),
        (replace(PAPER, has_skips=False), 32),
        (replace(PAPER, finest_stride=2), 24),
        (replace(PAPER, latent_channels=3), 12),
        (NARROW, 4),
    ],
    ids=str,
)
def test_every_architecture_reconstructs_an_image(architecture: Architecture, channels: int) -> None:
    reconstruction, latent = FPAE("pyramid", architecture)(torch.rand(2, 1, 64, 48))
    assert reconstruction.shape == (2, 1, 64, 48)
    assert latent.shape == (2, channels, 64, 48)


def test_without_the_image_and_skips_only_the_bottleneck_reaches_the_decoder() -> None:
    autoencoder, image = FPAE("coarsest", replace(NARROW, finest_stride=8)).eval(), torch.rand(1, 1, 64, 64)
    autoencoder.encoder.head[-1].norm.register_forward_hook(lambda *_: torch.zeros(1, 2, 8, 8))
    same = autoencoder(image).reconstruction
    torch.testing.assert_close(autoencoder(1 - image).reconstruction, same)


def test_a_skip_with_weight_0_is_one_that_is_not_there() -> None:
    with_skips, without = FPAE().eval(), FPAE("pyramid", replace(PAPER, has_skips=False)).eval()
    without.load_state_dict(with_skips.state_dict())
    image = torch.rand(2, 1, 64, 64)
    dropped = with_skips(image, torch.zeros(2, N_SKIPS)).reconstruction
    torch.testing.assert_close(dropped, without(image).reconstruction)
    kept = with_skips(image, torch.ones(2, N_SKIPS)).reconstruction
    torch.testing.assert_close(kept, with_skips(image).reconstruction)


def test_weights_of_the_papers_network_say_nothing_of_it() -> None:
    assert metadata_of(PAPER) == {}
    assert architecture_of({"training.precision": "bf16"}, "a.safetensors") == PAPER


def test_the_architecture_comes_back_from_the_metadata() -> None:
    assert architecture_of(metadata_of(NARROW), "a.safetensors") == NARROW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{" * 100_000,
        "[" * 100_000,
        '{"__class__": 1}',
        '{"latent_channels": 0}',
        '{"latent_channels": 1000000000}',
        '{"latent_channels": true}',
        '{"latent_channels": 2.0}',
        '{"finest_stride": 3}',
        '{"finest_stride": "1"}',
        '{"adds_image": 0}',
        '{"has_skips": "no"}',
    ],
    ids=lambda text: text[:30],
)
def test_metadata_that_describe_no_autoencoder_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(WeightsError, match=r"a\.safetensors: autoencoder\.architecture") as caught:
        architecture_of({ARCHITECTURE_KEY: text}, "a.safetensors")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(WeightsError, match="unknown key 'depth'"):
        architecture_of({ARCHITECTURE_KEY: json.dumps({"depth": 3})}, "a.safetensors")


def test_identical_images_have_an_ssim_of_1_and_inverted_ones_a_low_one() -> None:
    image = torch.rand(3, 1, 32, 24)
    torch.testing.assert_close(ssim(image, image), torch.ones(3))
    assert bool((ssim(image, 1 - image) < -0.5).all())


def test_ssim_is_that_of_the_paper_on_the_only_window_of_a_small_image() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 11, 11))
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    variance_x, variance_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    expected = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    expected /= (mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4)
    found = ssim(torch.from_numpy(x)[None, None], torch.from_numpy(y)[None, None])
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_ssim_is_computed_in_float32_under_autocast() -> None:
    image = torch.rand(1, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert ssim(image, image).dtype == torch.float32


def test_the_objective_adds_the_weighted_dissimilarity() -> None:
    autoencoder, image = FPAE().eval(), torch.rand(2, 1, 64, 64)
    loss = autoencoder_loss(autoencoder, image, 1.0, ssim_weight=2.0)
    reconstruction = autoencoder(image).reconstruction
    torch.testing.assert_close(loss.dissimilarity, 1 - ssim(reconstruction, image).mean())
    torch.testing.assert_close(loss.loss, loss.reconstruction + loss.regulariser + 2 * loss.dissimilarity)
    parts = [autoencoder_loss(autoencoder, part, 1.0, 2, ssim_weight=2.0).loss for part in (image[:1], image[1:])]
    torch.testing.assert_close(sum(parts), loss.loss)


def test_a_reconstruction_of_a_corrupted_image_is_compared_with_the_clean_one() -> None:
    autoencoder, image, seen = FPAE().eval(), torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64)
    loss = autoencoder_loss(autoencoder, image, 0.0, seen=seen)
    expected = (autoencoder(seen).reconstruction - image).square().mean()
    torch.testing.assert_close(loss.loss, expected)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_the_ranks_draw_what_one_process_draws_for_their_images() -> None:
    corruption = Corruption(noise=0.1, hidden_fraction=0.5, hidden_patch_px=8, skip_dropout=0.5)
    whole = draw(corruption, 5, (64, 48), generator(), torch.arange(5), CPU)
    part = draw(corruption, 5, (64, 48), generator(), torch.arange(2, 4), CPU)
    for name in ("noise", "hidden", "skip_weights"):
        drawn: Tensor = getattr(whole, name)
        assert torch.equal(drawn[2:4], getattr(part, name))
    assert set(whole.skip_weights.unique().tolist()) == {0.0, 2.0}  # type: ignore[union-attr]


def test_hidden_squares_are_whole_apart_from_the_border_and_as_many_as_asked_for() -> None:
    hidden = hidden_squares(Corruption(hidden_fraction=0.3, hidden_patch_px=8), 200, (64, 64), generator())
    assert hidden.shape == (200, 1, 64, 64)
    assert float(hidden.float().mean()) == pytest.approx(0.3, abs=0.02)
    changes = hidden[0, 0].int().diff(dim=1).abs().sum(dim=0).nonzero().flatten() + 1
    assert len({int(place) % 8 for place in changes}) == 1  # all edges lie on one grid


def test_hidden_squares_are_filled_with_the_images_mean_and_the_rest_stays() -> None:
    image = torch.rand(2, 1, 64, 64)
    drawn = draw(Corruption(hidden_fraction=0.5), 2, (64, 64), generator(), torch.arange(2), CPU)
    assert drawn.hidden is not None
    seen = corrupted(image, drawn, 0.0)
    torch.testing.assert_close(seen[~drawn.hidden], image[~drawn.hidden])
    for one, mask, clean in zip(seen, drawn.hidden, image, strict=True):
        torch.testing.assert_close(one[mask], clean.mean().expand(int(mask.sum())))


def test_noise_has_its_deviation_and_leaves_grey_values_in_range() -> None:
    image = torch.full((4, 1, 64, 64), 0.5)
    corruption = Corruption(noise=0.1)
    drawn = draw(corruption, 4, (64, 64), generator(), torch.arange(4), CPU)
    seen = corrupted(image, drawn, corruption.noise)
    assert float((seen - image).std()) == pytest.approx(0.1, rel=0.02)
    bright = corrupted(torch.ones_like(image), drawn, corruption.noise)
    assert float(bright.max()) == 1.0
