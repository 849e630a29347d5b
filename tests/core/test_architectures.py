"""The networks that can be the CIN: their parts are named, they read every input, and backbones fill them."""

from typing import get_args

import pytest
import torch

from coronet_core.classifier.architectures import ARCHITECTURES, build_cin
from coronet_core.classifier.dark_covid_net import DarkCovidNet
from coronet_core.classifier.pretrained_backbone import load_backbone
from coronet_core.common.literals import CinArchitecture

SIDE_PX = 96
every_architecture = pytest.mark.parametrize("name", get_args(CinArchitecture))


@every_architecture
def test_all_layers_with_weights_are_in_one_level(name: CinArchitecture) -> None:
    network = build_cin(architecture=name)
    parts = [part for level in ARCHITECTURES[name].levels for part in level]
    named = [f"{part}.{key}" for part in parts for key, _ in network.get_submodule(part).named_parameters()]
    assert sorted(named) == sorted(key for key, _ in network.named_parameters())


@every_architecture
def test_it_reads_four_channels_and_has_a_last_map(name: CinArchitecture) -> None:
    seen: list[torch.Size] = []
    network = build_cin("residual_tensor_and_image", name).eval()
    last = network.get_submodule(ARCHITECTURES[name].last_features)
    last.register_forward_hook(lambda _module, _given, made: seen.append(made.shape))
    assert network(torch.rand(1, 4, SIDE_PX, SIDE_PX)).shape == (1, 3)
    assert [len(shape) for shape in seen] == [4]


@every_architecture
def test_a_backbone_fills_all_layers_but_the_last(name: CinArchitecture) -> None:
    torch.manual_seed(1)
    donor = build_cin(architecture=name).state_dict()
    torch.manual_seed(2)
    network = build_cin(architecture=name)
    linear = f"{ARCHITECTURES[name].linear}.weight"
    own = network.state_dict()[linear].clone()
    load_backbone(network, donor, "donor", name)
    filled = network.state_dict()
    assert torch.equal(filled.pop(linear), own)
    others = [key for key in filled if not key.startswith(f"{ARCHITECTURES[name].linear}.")]
    assert all(torch.equal(filled[key], donor[key]) for key in others)


def test_dark_covid_net_has_the_size_that_its_authors_give() -> None:
    network = DarkCovidNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_167_586
    assert network.features(torch.rand(1, 3, 256, 256)).shape == (1, 3, 13, 13)


def test_an_older_file_of_a_densenet_and_one_for_grey_images_fill_it() -> None:
    """Torchvision's file says norm.1 for norm1; torchxrayvision's networks read one channel and have thresholds."""
    donor = build_cin(architecture="densenet121").state_dict()
    older = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value for key, value in donor.items()}
    grey = older | {"features.conv0.weight": donor["features.conv0.weight"][:, :1] * 3, "op_threshs": torch.zeros(18)}
    network = build_cin(architecture="densenet121").eval()
    load_backbone(network, grey, "grey", "densenet121")
    filled = network.state_dict()
    assert torch.equal(
        filled["features.denseblock4.denselayer16.norm1.weight"],
        donor["features.denseblock4.denselayer16.norm1.weight"],
    )
    first = filled["features.conv0.weight"]
    torch.testing.assert_close(first[:, 2], donor["features.conv0.weight"][:, 0])
