"""An ensemble is one CIN: its softmax is the mean of its members', and its weights say what it is made of."""

import math

import pytest
import torch
from torch import nn

from coronet_core.classifier.cin_design import DESIGN_KEY, CinDesign, design_from, require_networks
from coronet_core.classifier.ensemble import Ensemble, Member, combined, disagreement, member_outputs
from coronet_core.support.errors import WeightsError


class Scores(nn.Module):
    """Logits that are the left and the right half's means of the first channel, and 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x[:, 0].chunk(2, dim=2)
        return torch.stack([left.mean((1, 2)), right.mean((1, 2)), torch.zeros(len(x))], dim=1)


def test_probabilities_are_the_mean_of_the_members() -> None:
    x = torch.rand(5, 4, 8, 8)
    members = [Member(Scores(), channels) for channels in ([0, 1], [3], [2, 0])]
    together = Ensemble(members, average_flips=False)(x).softmax(1)
    each = torch.stack([Scores()(x[:, [first]]).softmax(1) for first in (0, 3, 2)])
    torch.testing.assert_close(together, each.mean(0))


def test_a_mirror_image_gets_the_same_prediction() -> None:
    x = torch.rand(3, 1, 8, 8)
    network = Ensemble([Member(Scores(), [0])], average_flips=True)
    torch.testing.assert_close(network(x), network(x.flip(3)))
    assert not torch.allclose(Scores()(x), Scores()(x.flip(3)))


def test_disagreement_is_none_among_equals_and_largest_among_the_certain() -> None:
    unsure = torch.full((4, 1, 3), 1 / 3).log()
    certain = (torch.eye(3) + 1e-12).log().unsqueeze(1)  # each of three members is sure of another class
    assert disagreement(unsure).item() == pytest.approx(0, abs=1e-6)
    assert disagreement(certain).item() == pytest.approx(math.log(3), abs=1e-4)


def test_what_each_network_says_is_what_the_cin_says_and_one_network_has_nothing_to_differ_from() -> None:
    x = torch.rand(5, 4, 8, 8)
    cin = Ensemble([Member(Scores(), [channel]) for channel in (0, 3)], average_flips=True)
    logits, differing = combined(member_outputs(cin, x))
    torch.testing.assert_close(logits, cin(x))
    assert differing is not None
    assert differing.shape == (5,)
    assert differing.min() > 0
    logits, differing = combined(member_outputs(Scores(), x))
    assert torch.equal(logits, Scores()(x))
    assert differing is None


@pytest.mark.parametrize(
    ("design", "inputs", "n_networks"),
    [
        (CinDesign(), [[0, 1, 2]], 1),
        (CinDesign(input="residual_tensor_and_image"), [[0, 1, 2, 3]], 1),
        (CinDesign(input="image", members=2), [[0, 0, 0]] * 2, 2),
        (CinDesign(input="residual_tensor_and_image", fusion="networks", members=2), [[3, 3, 3], [0, 1, 2]] * 2, 4),
    ],
)
def test_each_network_reads_its_channels(design: CinDesign, inputs: list[list[int]], n_networks: int) -> None:
    assert design.channels == inputs
    cin = design.build()
    assert cin(torch.rand(1, 4 if "and" in design.input else 3, 64, 64)).shape == (1, 3)
    assert len(design.member_names()) == n_networks
    assert all(cin.get_submodule(f"{name}conv1") for name in design.member_names())
    assert design_from(design.to_metadata(), design.input, "file") == design


def test_one_network_has_the_keys_that_it_always_had() -> None:
    assert "conv1.weight" in CinDesign().build().state_dict()


def test_weights_without_a_design_are_the_papers_network() -> None:
    assert design_from({}, "image", "file") == CinDesign(input="image")


@pytest.mark.parametrize(
    "fault",
    [
        "{",
        "[]",
        '{"members": 0}',
        '{"members": 1000000}',
        '{"members": true}',
        '{"architecture": "vgg"}',
        '{"fusion": "networks"}',
        '{"depth": 3}',
        '{"average_flips": 1}',
    ],
)
def test_a_design_that_is_none_is_refused(fault: str) -> None:
    with pytest.raises(WeightsError, match=r"file: cin\.design in its metadata names a network"):
        design_from({DESIGN_KEY: fault}, "residual_tensor", "file")


def test_a_design_for_another_input_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"file: trained on image, but cin\.input is residual_tensor"):
        design_from(CinDesign(input="image").to_metadata(), "residual_tensor", "file")


def test_weights_hold_as_many_networks_as_their_design_names() -> None:
    keys = CinDesign(members=2).build().state_dict().keys()
    require_networks(CinDesign(members=2), keys, "file")
    require_networks(CinDesign(), CinDesign().build().state_dict().keys(), "file")
    with pytest.raises(WeightsError, match="file: its metadata names 64 networks, but it holds 2"):
        require_networks(CinDesign(members=64), keys, "file")
    with pytest.raises(WeightsError, match="file: its metadata names 1 networks, but it holds 2"):
        require_networks(CinDesign(), keys, "file")
