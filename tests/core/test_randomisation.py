"""Cascading randomisation: what is shuffled, and that the trained network is left alone."""

from copy import deepcopy

import pytest
import torch

from coronet_core.attribution.randomisation import AUTOENCODERS, cascade, randomised
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.coronet import CoroNet


@pytest.fixture(scope="module")
def coronet() -> CoroNet:
    torch.manual_seed(0)
    return CoroNet(TFEN(FPAE(), FPAE()), build_cin()).eval()


def changed(coronet: CoroNet, other: torch.nn.Module) -> set[str]:
    """Names of the weight tensors that differ."""
    theirs = dict(other.named_parameters())
    return {name for name, weight in coronet.named_parameters() if not torch.equal(weight, theirs[name])}


def test_the_cascade_goes_from_the_output_to_the_input(coronet: CoroNet) -> None:
    reached: list[str] = []
    for level, random in cascade(coronet, coronet.cin_levels(), seed=0):
        reached.append(level)
        parts = {".".join(name.split(".")[:2]) for name in changed(coronet, random)}
        assert parts - {"cin.bn1"} == set(reached)
    assert reached == ["cin.fc", "cin.layer4", "cin.layer3", "cin.layer2", "cin.layer1", "cin.conv1"]


def test_at_the_end_of_the_cascade_nothing_of_the_cin_is_as_trained(coronet: CoroNet) -> None:
    trained = deepcopy(coronet)
    with torch.no_grad():
        for weight in trained.cin.parameters():
            weight.copy_(torch.rand_like(weight))
    *_, (_, random) = cascade(trained, trained.cin_levels(), seed=0)
    kept = {name for name, _ in trained.named_parameters() if name.startswith("cin")} - changed(trained, random)
    assert kept <= {"cin.fc.bias"}, "three values may be shuffled into their places"


@pytest.mark.parametrize("autoencoder", AUTOENCODERS)
def test_an_autoencoder_alone_can_be_random(coronet: CoroNet, autoencoder: str) -> None:
    names = changed(coronet, randomised(coronet, [autoencoder], seed=0))
    assert names
    assert all(name.startswith(autoencoder) for name in names)


def test_a_shuffle_keeps_the_values_and_depends_on_seed_and_name_alone(coronet: CoroNet) -> None:
    everything = [name for names in coronet.cin_levels().values() for name in names]
    alone, among, other = (
        randomised(coronet, parts, seed).get_submodule("cin.layer4").state_dict()["0.conv1.weight"]
        for parts, seed in ((["cin.layer4"], 0), (everything, 0), (everything, 1))
    )
    trained = coronet.get_submodule("cin.layer4").state_dict()["0.conv1.weight"]
    assert torch.equal(alone, among)
    assert not torch.equal(alone, other)
    assert torch.equal(alone.flatten().sort().values, trained.flatten().sort().values)
    assert abs(torch.corrcoef(torch.stack([alone.flatten(), trained.flatten()]))[0, 1]) < 0.01


def test_the_trained_weights_are_left_alone_after_an_error_too(coronet: CoroNet) -> None:
    before = {name: weight.clone() for name, weight in coronet.state_dict().items()}
    cascading = cascade(coronet, coronet.cin_levels() | {"cin.layer9": ["cin.layer9"]}, seed=0)
    with pytest.raises(AttributeError, match="layer9"):
        list(cascading)
    assert all(torch.equal(weight, before[name]) for name, weight in coronet.state_dict().items())
