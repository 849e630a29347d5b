"""A head on the middle blocks: it reads their maps, its parts are named, and it is built again from its design."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
import torch

from coronet_core.classifier.architectures import ARCHITECTURES, build_cin
from coronet_core.classifier.cin_design import CinDesign, design_from
from coronet_core.classifier.fine_tuning import trained_layers
from coronet_core.classifier.middle_blocks import HeadOnMiddleBlocks, Trunk, parts_of, with_head
from coronet_core.common.literals import CinArchitecture
from coronet_core.support.errors import WeightsError

SIDE_PX = 96
HAVE_BLOCKS = [name for name in get_args(CinArchitecture) if ARCHITECTURES[name].middle_blocks]
every_architecture = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "resnet18" else pytest.mark.slow) for name in HAVE_BLOCKS]
)


def test_it_reads_the_means_of_the_maps_of_two_blocks() -> None:
    network = build_cin().eval()
    x = torch.rand(2, 3, SIDE_PX, SIDE_PX)
    with torch.no_grad():
        block_1 = network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(x)))))
        block_2 = network.layer2(block_1)
        maps = [block_2, network.layer3(block_2)]
        model = HeadOnMiddleBlocks(network, ARCHITECTURES["resnet18"].middle_blocks).eval()
        expected = model.head(torch.cat([one.mean((2, 3)) for one in maps], dim=1))
        torch.testing.assert_close(model(x), expected)


@every_architecture
def test_its_maps_are_those_of_the_whole_network(name: CinArchitecture) -> None:
    network = build_cin("residual_tensor", name).eval()
    blocks = ARCHITECTURES[name].middle_blocks
    expected: list[torch.Tensor] = []
    for block in blocks:
        network.get_submodule(block).register_forward_hook(lambda _module, _given, made: expected.append(made))
    with torch.no_grad():
        x = torch.rand(1, 3, SIDE_PX, SIDE_PX)
        network(x)
        whole = list(expected)
        found = Trunk(network, list(blocks))(x)
    assert [one.shape[1] for one in found] == list(blocks.values())
    assert all(torch.equal(one, other) for one, other in zip(found, whole, strict=True))


def test_a_network_runs_in_one_thread_while_another_is_built() -> None:
    network, x = build_cin().eval(), torch.rand(1, 3, 32, 32)
    is_over = threading.Event()

    def run() -> int:
        passes = 0
        with torch.no_grad():
            while not is_over.is_set():
                network(x)
                passes += 1
        return passes

    with ThreadPoolExecutor(1) as other:
        work = other.submit(run)
        for _ in range(5):
            with_head(build_cin(), "resnet18", "middle_blocks")
        is_over.set()
        assert work.result() > 0


@every_architecture
def test_every_architecture_has_middle_blocks_and_named_parts(name: CinArchitecture) -> None:
    model = with_head(build_cin("residual_tensor_and_image", name), name, "middle_blocks").eval()
    parts = parts_of(name, "middle_blocks")
    seen: list[torch.Size] = []
    model.get_submodule(parts.last_features).register_forward_hook(
        lambda _module, _given, made: seen.append(made.shape)
    )
    assert model(torch.rand(1, 4, SIDE_PX, SIDE_PX)).shape == (1, 3)
    assert [len(shape) for shape in seen] == [4]
    named = [
        f"{part}.{key}"
        for level in parts.levels
        for part in level
        for key, _ in model.get_submodule(part).named_parameters()
    ]
    assert sorted(named) == sorted(key for key, _ in model.named_parameters())


@every_architecture
def test_its_design_builds_it_again(name: CinArchitecture) -> None:
    design = CinDesign(architecture=name, head_input="middle_blocks", members=2, average_flips=True)
    again = design_from(design.to_metadata(), "residual_tensor", "cin.safetensors")
    first, second = design.build().eval(), again.build().eval()
    second.load_state_dict(copy.deepcopy(first).state_dict())
    x = torch.rand(1, 3, SIDE_PX, SIDE_PX)
    assert torch.equal(first(x), second(x))
    levels = [name for names in again.modules_by_level().values() for name in names]
    assert all(second.get_submodule(level) for level in levels)


def test_frozen_blocks_stay_and_the_head_moves() -> None:
    model = with_head(build_cin(), "resnet18", "middle_blocks")
    layers = trained_layers(model, parts_of("resnet18", "middle_blocks"), "last_block", 0.5)
    moving = {key.split(".")[1] for key, one in model.named_parameters() if one.requires_grad} - {"weight", "bias"}
    assert moving == {"layer3"}
    assert [factor for _, factor in layers.groups] == [1.0, 0.5]
    assert model.head.weight.requires_grad


def test_a_design_without_such_blocks_is_refused() -> None:
    metadata = CinDesign(architecture="dark_covid_net", head_input="middle_blocks").to_metadata()
    with pytest.raises(WeightsError, match="does not know"):
        design_from(metadata, "residual_tensor", "cin.safetensors")
