"""Images that are no upright frontal chest X-ray."""

import pytest
import torch

from coronet_core.audits.probes import (
    PROBE_NAMES,
    PROBES,
    blank,
    checkerboard,
    cropped,
    inverted,
    noise,
    sideways,
    upside_down,
)
from coronet_core.common.seeds import generator

XRAYS = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_a_probe_has_the_shape_and_range_of_an_image(kind: str, size: tuple[int, int]) -> None:
    xrays = torch.rand(3, 1, *size)
    made = PROBES[kind](xrays, generator(1, kind))
    assert made.shape == xrays.shape
    assert made.dtype == torch.float32
    assert made.min() >= 0
    assert made.max() <= 1
    assert not torch.equal(made, xrays)


@pytest.mark.parametrize("kind", PROBES)
def test_the_same_seed_makes_the_same_probes(kind: str) -> None:
    first, again = (PROBES[kind](XRAYS, generator(1, kind)) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("kind", ["blank", "noise", "shapes", "checkerboard", "text"])
def test_what_is_drawn_differs_from_image_to_image_and_owes_nothing_to_the_xray(kind: str) -> None:
    made = PROBES[kind](XRAYS, generator(1, kind))
    assert len(made.flatten(1).unique(dim=0)) == 3
    assert torch.equal(made, PROBES[kind](1 - XRAYS, generator(1, kind)))
    assert not torch.equal(made, PROBES[kind](XRAYS, generator(2, kind)))


def test_turned_and_inverted_xrays() -> None:
    xray, rng = torch.tensor([[[[0.1, 0.2], [0.3, 0.4]]]]), torch.Generator()
    torch.testing.assert_close(inverted(xray, rng), torch.tensor([[[[0.9, 0.8], [0.7, 0.6]]]]))
    assert torch.equal(upside_down(xray, rng), torch.tensor([[[[0.4, 0.3], [0.2, 0.1]]]]))
    assert torch.equal(sideways(xray, rng), torch.tensor([[[[0.2, 0.4], [0.1, 0.3]]]]))


def test_a_crop_is_a_quarter_of_the_xray() -> None:
    across = torch.linspace(0, 1, 32).expand(3, 1, 32, 32)
    made = cropped(across, generator(1))
    for image in made[:, 0]:
        assert image[0].diff().mean() == pytest.approx(0.5 / 31, rel=0.1)
        torch.testing.assert_close(image[0], image[-1])


def test_a_blank_image_has_one_grey_and_a_checkerboard_two() -> None:
    assert [len(image.unique()) for image in blank(XRAYS, generator(1))] == [1, 1, 1]
    assert [len(image.unique()) for image in checkerboard(XRAYS, generator(1))] == [2, 2, 2]


def test_noise_is_mostly_coarse() -> None:
    spectrum = torch.fft.rfft2(noise(torch.rand(20, 1, 32, 32), generator(1))).abs().mean(dim=(0, 1))
    assert spectrum[0, 1] > 5 * spectrum[0, 10]


def test_every_probe_has_a_name_in_words() -> None:
    assert list(PROBE_NAMES) == list(PROBES)
