"""Weights on disk."""

from pathlib import Path

import pytest
import torch
from torch import nn

from coronet_core.common.weights import load_weights, read_weights, save_weights
from coronet_core.support.errors import WeightsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "net.safetensors"


def test_weights_come_back_as_they_were(path: Path) -> None:
    saved, loaded = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.normal_(saved.weight)
    save_weights(saved, path)
    load_weights(loaded, path)
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in saved.state_dict().items())


def test_a_torch_file_of_tensors_is_read(path: Path) -> None:
    path = path.with_name("net.pth")
    path.parent.mkdir()
    torch.save(nn.Linear(2, 1).half().state_dict(), path)
    assert read_weights(path)["weight"].dtype == torch.float32


def test_a_truncated_file_is_refused(path: Path) -> None:
    save_weights(nn.Linear(9, 9), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(nn.Linear(9, 9), path)


def test_a_pickled_class_is_refused(path: Path) -> None:
    path = path.with_name("net.pth")
    path.parent.mkdir()
    torch.save(nn.Linear(2, 1), path)
    with pytest.raises(WeightsError, match="refused") as caught:
        read_weights(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"not weights", b"PK\x03\x04 cut off", b"\x80\x02}q\x00"], ids=repr)
def test_a_damaged_torch_file_is_refused_without_torchs_advice(path: Path, damage: bytes) -> None:
    path = path.with_name("net.pth")
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(WeightsError, match="damaged") as caught:
        read_weights(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_a_program_is_refused_without_torchs_advice(path: Path) -> None:
    path = path.with_name("net.pth")
    path.parent.mkdir()
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), path)
    with pytest.raises(WeightsError, match="refused") as caught:
        read_weights(path)
    assert "weights_only" not in str(caught.value)


def test_weights_of_another_network_are_refused(path: Path) -> None:
    save_weights(nn.Linear(2, 1), path)
    with pytest.raises(WeightsError, match="weights of another network than Conv2d"):
        load_weights(nn.Conv2d(1, 1, 3), path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net\.safetensors: weights file not found"):
        read_weights(path)
