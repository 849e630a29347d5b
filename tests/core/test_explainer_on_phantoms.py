"""The explainer on a network whose evidence is known: phantoms that differ in their opacities and in nothing else.

A small CoroNet learns healthy from pneumonia. The lungs of both classes are filled with air alike here, so that only
the opacity tells them apart, and the boxes of the phantoms say where that is.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from coronet_core.attribution.baselines import centre_map, random_maps
from coronet_core.attribution.blur import blur
from coronet_core.attribution.deletion_and_insertion import area, deletion_and_insertion
from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.attribution.randomisation import randomised, rank_correlation
from coronet_core.attribution.salience_in_regions import box_mask, points_into
from coronet_core.autoencoder.fpae import Autoencoding
from coronet_core.autoencoder.residual_tensor import TFEN, freeze
from coronet_core.classifier.coronet import CoroNet
from coronet_core.data.sources import phantom

SIDE_PX = 64
N_TRAINED, N_EXPLAINED, N_EPOCHS = 120, 16, 24
SETTINGS = Perturbation(
    mask_size_px=16,
    mask_blur_radius_px=2.0,
    null_blur_radius_px=8.0,
    l1_weight=0.002,
    tv_weight=0.01,
    tv_beta=3.0,
    tv_norm="isotropic",
    learning_rate=0.1,
    iterations=40,
    jitter_px=1,
    seed=0,
)
PNEUMONIA = torch.ones(N_EXPLAINED, dtype=torch.int64)


@dataclass(frozen=True)
class Explained:
    """A trained network, the images that it recognises, where their opacities are, and their maps."""

    coronet: CoroNet
    image: Tensor
    region: Tensor
    maps: Tensor

    def probabilities(self, image: Tensor) -> Tensor:
        return self.coronet(image).probabilities

    def deletion_auc(self, maps: Tensor) -> Tensor:
        curves = deletion_and_insertion(
            self.probabilities, self.image, PNEUMONIA, maps, steps=16, null_blur_radius_px=8.0
        )
        return area(curves.deletion)


def drawn(label: str, first: int, n_images: int) -> tuple[Tensor, Tensor]:
    """Return phantoms (n, 1, H, W) in [0, 1] and the pixels of their opacities (n, 1, H, W)."""
    pairs = [phantom.draw(5, label, f"p{i}", 0, SIDE_PX) for i in range(first, first + n_images)]
    image = torch.stack([torch.from_numpy(pixels.copy()) for pixels, _ in pairs])[:, None].float() / 255
    return image, torch.stack([box_mask(boxes, SIDE_PX, SIDE_PX) for _, boxes in pairs])[:, None]


class Dimmed(nn.Module):
    """An autoencoder that reconstructs a share of the brightness, smoothed: quick, and the residual shows the rest."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, image: Tensor) -> Autoencoding:
        return Autoencoding(self.share * nn.functional.avg_pool2d(image, 3, stride=1, padding=1), image)


def small_cin() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(16, 16, 5, stride=2, padding=2), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def lessons() -> tuple[Tensor, Tensor]:
    """Return images and classes that leave one evidence: the opacity, which counts with all else blurred too."""
    healthy, (pneumonia, region) = drawn("healthy", 0, N_TRAINED)[0], drawn("pneumonia", 0, N_TRAINED)
    null = blur(pneumonia, SETTINGS.null_blur_radius_px)
    none = [healthy, null, torch.where(region, null, pneumonia)]
    some = [pneumonia, torch.where(region, pneumonia, null)]
    return torch.cat([*none, *some]), torch.tensor([0] * 3 * N_TRAINED + [1] * 2 * N_TRAINED)


def trained() -> CoroNet:
    coronet = CoroNet(TFEN(Dimmed(0.5), Dimmed(0.25)), small_cin())  # type: ignore[arg-type]  # not FPAEs
    images, labels = lessons()
    residuals = coronet.tfen(images)
    optimizer = torch.optim.Adam(coronet.cin.parameters(), lr=0.003)
    for _ in range(N_EPOCHS):
        for batch in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(coronet.cin(residuals[batch]), labels[batch]).backward()
            optimizer.step()
    freeze(coronet, torch.device("cpu"))
    return coronet


@pytest.fixture(scope="module")
def explained() -> Explained:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(phantom.AERATION, "pneumonia", phantom.AERATION["healthy"])
        coronet = trained()
        image, region = drawn("pneumonia", N_TRAINED, 2 * N_EXPLAINED)
    with torch.no_grad():
        recognised = coronet(image).probabilities[:, 1].sort(descending=True).indices[:N_EXPLAINED]
    image, region = image[recognised], region[recognised]
    maps = perturbation_maps(lambda x: coronet(x).probabilities, image, PNEUMONIA, SETTINGS)
    return Explained(coronet, image, region, maps)


@pytest.fixture(scope="module")
def controls() -> dict[str, Tensor]:
    names = [str(i) for i in range(N_EXPLAINED)]
    centre = centre_map(SIDE_PX, SIDE_PX).expand(N_EXPLAINED, -1, -1, -1)
    return {"random": random_maps(names, SIDE_PX, SIDE_PX, seed=1), "centre": centre}


def test_the_network_recognises_what_is_explained(explained: Explained) -> None:
    with torch.no_grad():
        assert explained.probabilities(explained.image)[:, 1].min() > 0.8


@pytest.mark.parametrize("control", ["random", "centre"])
def test_maps_point_at_opacities_far_more_often_than_maps_that_know_nothing(
    explained: Explained, controls: dict[str, Tensor], control: str
) -> None:
    ours, theirs = (points_into(maps, explained.region).float().mean() for maps in (explained.maps, controls[control]))
    assert ours > 0.8
    assert ours > theirs + 0.4


@pytest.mark.parametrize("control", ["random", "centre"])
def test_deleting_by_the_map_takes_the_class_away_far_faster(
    explained: Explained, controls: dict[str, Tensor], control: str
) -> None:
    assert explained.deletion_auc(explained.maps).mean() < 0.6 * explained.deletion_auc(controls[control]).mean()


@pytest.mark.parametrize("levels", [["cin.7"], ["cin.7", "cin.3"], ["cin.7", "cin.3", "cin.1"]])
def test_random_weights_destroy_the_map(explained: Explained, levels: list[str]) -> None:
    random = randomised(explained.coronet, levels, seed=3)
    maps = perturbation_maps(lambda x: random(x).probabilities, explained.image, PNEUMONIA, SETTINGS)
    assert points_into(maps, explained.region).float().mean() < 0.3
    likeness = rank_correlation(explained.maps, maps).mean().abs()
    assert likeness < (0.5 if len(levels) == 1 else 0.25)  # a shuffled last layer reads the same features
