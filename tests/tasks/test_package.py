"""Packages: written, read, and everything that is not one refused."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from coronet_core.support.errors import CoroNetError, DataError, WeightsError
from tasks.package.metadata import CIN, DESCRIPTION, package_digest, read_description
from tasks.package.package_folder import read_package, write_package
from tasks.package.trained_model import TrainedModel
from tests.tasks.trained_model import CARD, some_lineage, untrained_model


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return untrained_model()


@pytest.fixture
def package(tmp_path: Path, model: TrainedModel) -> Path:
    write_package(tmp_path / "coronet", model, CARD, some_lineage())
    return tmp_path / "coronet"


def describe_anew(package: Path, name: str, content: bytes) -> None:
    """Put `content` in place of a file and describe it: what somebody who tampers would do."""
    (package / name).write_bytes(content)
    values = json.loads((package / DESCRIPTION).read_text())
    values["files"][name] = {"sha256": sha256(content).hexdigest(), "size_bytes": len(content)}
    (package / DESCRIPTION).write_text(json.dumps(values))


def change_description(package: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((package / DESCRIPTION).read_text())
    change(values)
    (package / DESCRIPTION).write_text(json.dumps(values))


def test_what_is_read_is_what_was_written(package: Path, model: TrainedModel) -> None:
    assert read_package(package) == model


def test_the_lineage_is_in_the_description(package: Path) -> None:
    assert read_description(package).lineage == some_lineage()


def test_a_package_from_before_number_formats_were_kept_is_read(package: Path, model: TrainedModel) -> None:
    change_description(package, lambda values: values["lineage"].pop("training_precision"))
    assert read_package(package) == model
    assert read_description(package).lineage == some_lineage(training_precision={})


def test_the_same_model_gives_the_same_bytes(package: Path, model: TrainedModel, tmp_path: Path) -> None:
    write_package(tmp_path / "again", model, CARD, some_lineage())
    assert {path.name: path.read_bytes() for path in package.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()
    }


@pytest.mark.parametrize("part", ["model", "card", "lineage"])
def test_another_digest_says_that_any_part_is_another(
    package: Path, model: TrainedModel, tmp_path: Path, part: str
) -> None:
    arguments = {"model": model, "card": CARD, "lineage": some_lineage()}
    others = {"model": replace(model, batch_size=3), "card": "# Other\n", "lineage": some_lineage(commit="d" * 40)}
    write_package(tmp_path / "other", **(arguments | {part: others[part]}))  # type: ignore[arg-type]
    assert package_digest(tmp_path / "other") != package_digest(package)


def test_a_package_takes_the_place_of_the_former(package: Path, model: TrainedModel) -> None:
    write_package(package, replace(model, batch_size=3), CARD, some_lineage())
    assert read_package(package).batch_size == 3
    assert [path.name for path in package.parent.iterdir()] == ["coronet"]


def test_weights_that_nobody_would_read_are_not_written(model: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a safetensors file"):
        write_package(tmp_path / "coronet", replace(model, cin=b"no weights"), CARD, some_lineage())
    assert list(tmp_path.iterdir()) == []


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda folder: (folder / CIN).write_bytes(flipped((folder / CIN).read_bytes())),
            r"cin.safetensors: its SHA-256 differs",
        ),
        (lambda folder: (folder / CIN).write_bytes((folder / CIN).read_bytes()[:-9]), "truncated or replaced"),
        (
            lambda folder: (folder / "MODEL_CARD.md").write_text(CARD.replace("not", "now")),
            "MODEL_CARD.md: its SHA-256 differs",
        ),
    ],
    ids=["tampered weights", "truncated weights", "tampered card"],
)
def test_a_file_that_is_not_the_described_one_is_refused(
    package: Path, damage: Callable[[Path], object], reason: str
) -> None:
    damage(package)
    with pytest.raises(WeightsError, match=reason):
        read_package(package)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / CIN).unlink(), "cin.safetensors: missing"),
        (lambda folder: (folder / DESCRIPTION).unlink(), "is not a package"),
        (lambda folder: (folder / "setup.py").write_text("print()"), "setup.py: not a file of a package"),
        (lambda folder: (folder / DESCRIPTION).write_text("{"), "not JSON"),
        (lambda folder: (folder / DESCRIPTION).write_bytes(b"\xff"), "not JSON"),
    ],
    ids=["missing weights", "no description", "unexpected file", "half a description", "no text"],
)
def test_a_folder_that_is_no_whole_package_is_refused(
    package: Path, damage: Callable[[Path], object], reason: str
) -> None:
    damage(package)
    with pytest.raises(DataError, match=reason):
        read_package(package)


def test_a_link_in_place_of_a_file_is_refused(package: Path) -> None:
    (package / CIN).rename(package.parent / CIN)
    (package / CIN).symlink_to(package.parent / CIN)
    with pytest.raises(DataError, match="not a regular file"):
        read_package(package)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values: values.update(format_version=2), "format_version = 2, but this version reads 1"),
        (lambda values: values.update(format_version="1"), "format_version = '1'"),
        (lambda values: values.update(classes=["healthy", "covid19", "pneumonia"]), "classes ="),
        (lambda values: values.update(code="import os"), "code"),
        (lambda values: values["settings"].update(image_size_px=7), "settings.image_size_px"),
        (lambda values: values["calibration"].update(temperature="warm"), "calibration.temperature"),
        (lambda values: values["files"].update({"../cin.safetensors": values["files"][CIN]}), r"\.\./cin"),
        (lambda values: values["files"].pop(CIN), "cin.safetensors"),
        (lambda values: values["lineage"].update(commit="--upload-pack=x"), "lineage.commit"),
        (
            lambda values: values["lineage"]["data"].update({"data/split": "../../etc/passwd"}),
            "lineage.data.data/split",
        ),
        (lambda values: values["lineage"]["data"].update({"data/split": "x' or '1'='1"}), "lineage.data.data/split"),
        (lambda values: values["lineage"]["code"].update({"tasks/x.py": "/etc"}), "lineage.code.tasks/x.py"),
        (lambda values: values["files"][CIN].update(sha256="0"), "files.cin.safetensors.sha256"),
    ],
)
def test_a_description_that_is_not_sound_is_refused(
    package: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    change_description(package, change)
    with pytest.raises(DataError, match=reason):
        read_package(package)


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_and_not_executed(package: Path, tmp_path: Path, kind: str) -> None:
    if kind == "pickle":
        content = pickle.dumps({"fc.bias": Marker(tmp_path / "executed")})
    else:
        torch.save({"fc.bias": Marker(tmp_path / "executed")}, tmp_path / "weights.pt")
        content = (tmp_path / "weights.pt").read_bytes()
    describe_anew(package, CIN, content)
    with pytest.raises(WeightsError, match=r"cin.safetensors: not a safetensors file"):
        read_package(package)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.pop("fc.bias"), r"1 keys are missing or unknown \(first: fc.bias"),
        (lambda state: state.update(more=torch.zeros(1)), "first: more"),
        (lambda state: state.update({"fc.bias": torch.zeros(4)}), r"fc.bias is float32 \[4\], expected float32 \[3\]"),
        (lambda state: state.update({"fc.bias": torch.zeros(3).half()}), "fc.bias is float16"),
        (lambda state: state.update({"fc.bias": torch.tensor([0.0, float("nan"), 0.0])}), "fc.bias has non-finite"),
        (lambda state: state.update({"fc.bias": torch.tensor([0.0, float("inf"), 0.0])}), "fc.bias has non-finite"),
    ],
    ids=["missing key", "unknown key", "shape", "type", "NaN", "infinite"],
)
def test_weights_of_another_network_are_refused(
    package: Path, model: TrainedModel, change: Callable[[dict[str, torch.Tensor]], object], reason: str
) -> None:
    state = load(model.cin)
    change(state)
    describe_anew(package, CIN, save(state))
    with pytest.raises(WeightsError, match=reason):
        read_package(package)


def test_every_refusal_says_what_to_do(package: Path) -> None:
    (package / CIN).write_bytes(b"")
    with pytest.raises(CoroNetError, match=r"`coronet run`.*`coronet models fetch`"):
        read_package(package)


def test_a_package_from_before_reading_rules_were_kept_reads_by_the_first(package: Path, model: TrainedModel) -> None:
    change_description(package, lambda values: values["settings"].pop("reading"))
    assert read_package(package).reading == 1
    assert read_package(package) == replace(model, reading=1)


def test_the_reading_rule_is_kept_and_another_one_is_another_model(model: TrainedModel, tmp_path: Path) -> None:
    write_package(tmp_path / "second", replace(model, reading=2), CARD, some_lineage())
    assert read_package(tmp_path / "second").reading == 2
    assert replace(model, reading=2).digest != replace(model, reading=1).digest
