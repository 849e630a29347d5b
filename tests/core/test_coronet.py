"""The residual tensor, the CIN and the whole network."""

from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models import ResNet18_Weights

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN, residual_tensor, residuals_of, stored_residuals
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.coronet import CoroNet
from coronet_core.classifier.inputs import CinInputs, cin_input
from coronet_core.classifier.pretrained_backbone import imagenet_backbone, load_backbone
from coronet_core.common.batches import Subset
from coronet_core.common.literals import CinInput
from coronet_core.common.shards import Shards, write_shard
from coronet_core.support.errors import WeightsError


@pytest.fixture
def coronet() -> CoroNet:
    return CoroNet(TFEN(FPAE(), FPAE()), build_cin()).eval()


def test_residual_tensor_follows_equations_5_to_7() -> None:
    x, healthy, pneumonia = (torch.full((1, 1, 1, 1), value) for value in (0.5, 0.8, 0.4))
    channels = residual_tensor(x, healthy, pneumonia).flatten()
    torch.testing.assert_close(channels, torch.tensor([0.3, 0.1, 0.2]))  # |.5-.8|, |.5-.4|, |1-.8-.4|


def test_parameter_count_of_the_whole_network(coronet: CoroNet) -> None:
    assert sum(parameter.numel() for parameter in coronet.parameters()) == 11_285_369


def test_image_in_probabilities_and_residual_tensor_out(coronet: CoroNet) -> None:
    probabilities, residual = coronet(torch.rand(2, 1, 64, 64))
    assert residual.shape == (2, 3, 64, 64)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))


def test_gradients_reach_the_image_through_both_autoencoders(coronet: CoroNet) -> None:
    image = torch.rand(1, 1, 64, 64, requires_grad=True)
    coronet(image).probabilities[0, 2].backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("counters", [True, False], ids=["with step counters", "without, as ImageNet's file"])
def test_backbone_fills_all_layers_but_the_classifier(counters: bool) -> None:  # noqa: FBT001
    cin, donor = build_cin(), build_cin().state_dict()
    backbone = {key: value for key, value in donor.items() if counters or not key.endswith("num_batches_tracked")}
    classifier = cin.state_dict()["fc.weight"].clone()
    load_backbone(cin, backbone, "donor")
    torch.testing.assert_close(cin.state_dict()["layer4.1.conv2.weight"], donor["layer4.1.conv2.weight"])
    torch.testing.assert_close(cin.state_dict()["fc.weight"], classifier)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_backbone_of_another_network_is_refused(fault: str) -> None:
    backbone = build_cin().state_dict()
    if fault == "missing":
        del backbone["conv1.weight"]
    elif fault == "unknown":
        backbone["layer9.weight"] = torch.zeros(1)
    else:
        backbone["conv1.weight"] = torch.zeros(64, 2, 7, 7)
    with pytest.raises(WeightsError, match=r"file\.pth: not a ResNet-18 backbone: 1 keys"):
        load_backbone(build_cin(), backbone, "file.pth")


def test_imagenet_weights_without_a_network_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")  # what the download raises on a machine without one

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(
        WeightsError, match=r"could not be downloaded.*set cin\.pretrained to the file's path"
    ) as caught:
        imagenet_backbone()
    assert ResNet18_Weights.IMAGENET1K_V1.url in str(caught.value)


def test_a_damaged_download_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody is there
    cached = tmp_path / "hub/checkpoints" / Path(ResNet18_Weights.IMAGENET1K_V1.url).name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(WeightsError, match="could not be downloaded"):
        imagenet_backbone()
    assert not cached.exists()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("residual_tensor", [1.0, 2.0, 3.0]),
        ("healthy_residual", [1.0, 1.0, 1.0]),
        ("pneumonia_residual", [2.0, 2.0, 2.0]),
        ("image", [0.0, 0.0, 0.0]),
        ("residual_tensor_and_image", [1.0, 2.0, 3.0, 0.0]),
    ],
)
def test_a_cin_reads_the_channels_of_its_kind(kind: CinInput, expected: list[float]) -> None:
    image, residual = torch.zeros(2, 1, 64, 64), torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(2, 3, 64, 64)
    channels = cin_input(kind, image, residual)
    assert channels[0, :, 0, 0].tolist() == expected
    assert build_cin(kind)(channels).shape == (2, 3)


def test_a_fourth_channel_starts_as_the_mean_of_the_backbones_three() -> None:
    cin, donor = build_cin("residual_tensor_and_image"), build_cin().state_dict()
    load_backbone(cin, donor, "donor")
    torch.testing.assert_close(cin.state_dict()["conv1.weight"][:, 3], donor["conv1.weight"].mean(dim=1))


@pytest.mark.parametrize("kind", ["residual_tensor", "image", "residual_tensor_and_image"])
def test_inputs_from_the_stacks_are_those_of_the_whole_network(kind: CinInput, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    residuals = np.random.default_rng(1).random((4, 3, 8, 8)).astype(np.float16)
    write_shard(tmp_path / "images", 0, images)
    write_shard(tmp_path / "residuals", 0, residuals)
    subsets = [
        Subset(Shards.in_folder(tmp_path / name), [3, 1], torch.device("cpu")) for name in ("images", "residuals")
    ]
    taken = CinInputs(kind, *subsets).take(torch.tensor([1]))
    expected = cin_input(
        kind, torch.from_numpy(images[1:2, None] / 255).float(), torch.from_numpy(residuals[1:2]).float()
    )
    torch.testing.assert_close(taken, expected)


def test_stored_residuals_are_the_networks_rounded_to_the_nearest_float16() -> None:
    tfen = TFEN(FPAE(), FPAE()).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    computed = residuals_of(tfen, torch.from_numpy(images)[:, None].float() / 255, "fp32").numpy()
    stored = stored_residuals(tfen, images, 2, "fp32", torch.device("cpu"))
    assert stored.dtype == np.float16
    np.testing.assert_allclose(
        stored, computed.astype(np.float16), rtol=1e-3, atol=1e-6
    )  # batches sum in another order
