"""Autoencoders from files that a user names."""

from pathlib import Path

import pytest
import torch

from coronet_core.autoencoder.architecture import Architecture, metadata_of
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.pretrained import load_pretrained, released_name
from coronet_core.common.weights import read_metadata, read_metadata_from, save_weights
from coronet_core.support.errors import WeightsError

NARROW = Architecture(has_skips=False, latent_channels=2)


def require_equal(first: FPAE, second: FPAE) -> None:
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def test_own_weights_are_loaded(tmp_path: Path) -> None:
    saved, loaded, path = FPAE("pyramid", NARROW), FPAE("coarsest", NARROW), tmp_path / "one.safetensors"
    save_weights(saved, path, metadata_of(NARROW))
    load_pretrained(loaded, path)
    require_equal(saved, loaded)


def test_weights_under_the_authors_names_are_loaded(tmp_path: Path) -> None:
    saved, loaded, path = FPAE(), FPAE(), tmp_path / "label_0_best.pth"
    torch.save({released_name(key): value for key, value in saved.state_dict().items()}, path)
    load_pretrained(loaded, path)
    require_equal(saved, loaded)


def test_the_authors_names_are_those_of_their_release(shared: Path) -> None:
    released = torch.load(shared / "reference" / "label_0_best.pth", map_location="cpu", weights_only=True)
    assert {released_name(key) for key in FPAE().state_dict()} == set(released)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_weights(FPAE("pyramid", NARROW), path, metadata_of(NARROW))
    with pytest.raises(WeightsError, match=r"one\.safetensors: its weights have the architecture .*latent_channels=2"):
        load_pretrained(FPAE(), path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.pth"
    torch.save(torch.nn.Linear(2, 1).state_dict(), path)
    with pytest.raises(WeightsError, match=r"one\.pth: its weights do not fit FPAE"):
        load_pretrained(FPAE(), path)


def test_metadata_are_read_from_a_files_content_too(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_weights(FPAE(), path, {"training.precision": "bf16"})
    assert read_metadata_from(path.read_bytes(), path.name) == read_metadata(path) == {"training.precision": "bf16"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        (19).to_bytes(8, "little") + b'{"__metadata__": 5}',
        (26).to_bytes(8, "little") + b'{"__metadata__": {"a": 5}}',
    ],
    ids=lambda content: str(content[:24]),
)
def test_content_without_a_safetensors_header_is_refused(content: bytes) -> None:
    with pytest.raises(WeightsError, match=r"one\.safetensors: not a safetensors file"):
        read_metadata_from(content, "one.safetensors")
