"""Weights on disk."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from coronet_core.common.weights import load_weights, load_weights_from, read_metadata, read_weights, save_weights
from coronet_core.support.checksums import MARK
from coronet_core.support.errors import DamagedFileError, TrainingError, WeightsError


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
    with pytest.raises(DamagedFileError, match=r"net\.safetensors: damaged"):
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
    with pytest.raises(WeightsError, match="its weights do not fit Conv2d"):
        load_weights(nn.Conv2d(1, 1, 3), path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net\.safetensors: weights file not found"):
        read_weights(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_loaded(path: Path, value: float) -> None:
    module = nn.Linear(2, 1)
    path.parent.mkdir()
    save_file({"weight": torch.full((1, 2), value), "bias": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="weight is not finite"):
        load_weights(module, path)
    with pytest.raises(WeightsError, match="weight is not finite"):
        load_weights_from(module, path.read_bytes(), path.name)
    path.unlink()
    nn.init.constant_(module.weight, value)
    with pytest.raises(TrainingError, match=r"net\.safetensors: not written: weight is not finite.*Lower the learning"):
        save_weights(module, path)
    assert not path.exists()


def test_weights_of_older_versions_are_loaded(path: Path) -> None:
    saved, loaded = nn.Linear(2, 1), nn.Linear(2, 1)
    path.parent.mkdir()
    save_file(saved.state_dict(), path, {"precision": "fp32"})
    load_weights(loaded, path)
    assert torch.equal(saved.weight, loaded.weight)
    assert read_metadata(path) == {"precision": "fp32"}


def test_the_same_weights_are_the_same_bytes_and_a_safetensors_file(path: Path) -> None:
    module = nn.Linear(2, 1)
    written = set()
    for number in range(8):  # safetensors' own order of metadata is random in a process
        one = path.with_name(f"{number}.safetensors")
        save_weights(module, one, {"precision": "bf16", "other": "x"})
        written.add(one.read_bytes())
    assert len(written) == 1
    assert torch.equal(load_file(one)["weight"], module.weight)
    assert read_metadata(one) == {"precision": "bf16", "other": "x"}


def test_a_flipped_bit_anywhere_is_refused_or_changes_no_value(path: Path) -> None:
    module, loaded = nn.Linear(3, 2), nn.Linear(3, 2)
    save_weights(module, path, {"precision": "bf16"})
    whole = path.read_bytes()
    taken = []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            load_weights(loaded, path)
        except (DamagedFileError, WeightsError) as error:
            assert str(error).startswith(str(path))  # noqa: PT017  # most places raise, the checksum's name does not
        else:
            taken.append(place)
            assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in module.state_dict().items())
    name_at = whole.index(MARK)
    assert set(taken) <= set(range(name_at, name_at + len(MARK)))
