"""Bad input: one line that names the thing and the remedy, an exit code, and no half-written outs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import read_manifest
from coronet_core.data.sources import phantom
from tasks.runtime.paths import MANIFEST
from tests.integration.conftest import Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    """A project on class folders: four patients of each class."""
    project = new_project()
    for label in CLASSES:
        folder = project.folder / "data" / "raw" / "xray" / label
        folder.mkdir(parents=True)
        for number in range(4):
            pixels, _ = phantom.draw(1, label, f"patient-{label}-{number}", 0, 80)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    source = {"kind": "image_folder", "folder": "xray", "labels_csv": None, "patient_id_pattern": None}
    project.set_params({"data": {"root": "data/raw", "sources": [source], "ids": "as_given"}})
    return project


def unreadable_image(project: Project) -> str:
    (images(project) / "healthy" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    return (
        "1 of 12 images cannot be read (xray/healthy/2.png: not an image). .coronet/image_names.csv lists them all: "
        "repair or remove them, or accept them with data.max_rejected_fraction = 0.084 or more."
    )


def empty_class(project: Project) -> str:
    for path in (images(project) / "covid19").iterdir():
        path.unlink()
    return "class covid19 has no images. Add some: a folder called covid19, rows with this label"


def missing_file(project: Project) -> str:
    (images(project) / "labels.csv").write_text("file,label\nhealthy/9.png,healthy\n")
    source = {"kind": "image_folder", "folder": "xray", "labels_csv": "labels.csv", "patient_id_pattern": None}
    project.set_params({"data": {"sources": [source]}})
    return "names files that do not exist: healthy/9.png. Put them under data/raw/xray, or delete their rows."


def few_patients(project: Project) -> str:
    for number in (2, 3):
        (images(project) / "covid19" / f"{number}.png").unlink()
    return "class covid19: 2 patients cannot fill train, validation and test"


def missing_key(project: Project) -> str:
    project.set_params({"cin": {"learning_rate": ...}})
    return "error: params.yaml: cin.learning_rate: missing. Add it; params/base.yaml shows every key."


def images(project: Project) -> Path:
    return project.folder / "data" / "raw" / "xray"


@pytest.mark.parametrize("fault", [unreadable_image, empty_class, missing_file, few_patients, missing_key])
def test_a_stage_names_the_fault_and_leaves_nothing(project: Project, fault: Callable[[Project], str]) -> None:
    message = fault(project)
    finished = project.run("tasks", "build_split")
    errors = [line for line in finished.stdout.splitlines() if line.startswith("error: ")]
    assert finished.returncode == 1
    assert len(errors) == 1, finished.stdout
    assert message in errors[0]
    assert "Traceback" not in finished.stdout
    assert not (project.folder / "data" / "split").exists()


def test_the_flow_ends_with_the_stage_and_its_fault(project: Project) -> None:
    message = unreadable_image(project)
    finished = project.run("flows", "run")
    last = finished.stdout[finished.stdout.rindex("error: ") :].splitlines()[0]
    assert finished.returncode == 1
    assert last.startswith(f"error: build_split: {message}")
    assert "not run: upstream stages did not complete: build_split" in finished.stdout
    assert "Traceback" not in finished.stdout


def test_a_key_that_is_missing_is_asked_for_before_anything_starts(project: Project) -> None:
    project.set_params({"data": {"require_secret_key": True}})
    finished = project.run("flows", "run")
    assert finished.returncode == 1
    (line,) = finished.stdout.splitlines()
    assert line.startswith("error: CORONET_PSEUDONYM_KEY is not set, and data.require_secret_key is true")


def test_accepted_rejects_are_in_the_manifest(project: Project) -> None:
    unreadable_image(project)
    project.set_params({"data": {"max_rejected_fraction": 0.1}})
    finished = project.run("tasks", "build_split")
    assert finished.returncode == 0, finished.stdout
    assert '"not an image": 1' in (project.folder / "reports" / "split.json").read_text()


def test_a_repaired_file_is_read_again(project: Project) -> None:
    path = images(project) / "healthy" / "2.png"
    good, status = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(good)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert project.run("tasks", "build_split").returncode == 1
    path.write_bytes(good)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # nothing that a listing shows has changed
    finished = project.run("tasks", "build_split")
    assert finished.returncode == 0, finished.stdout


def test_labels_corrected_after_a_failed_build_are_those_of_the_manifest(project: Project) -> None:
    source = {"kind": "image_folder", "folder": "xray", "labels_csv": "labels.csv", "patient_id_pattern": None}
    project.set_params({"data": {"sources": [source]}})
    rows = {f"{label}/{number}.png": label for label in CLASSES for number in range(4)}
    faulty = rows | {"covid19/0.png": "healthy", "covid19/1.png": "healthy"}
    for labels, code in ((faulty, 1), (rows, 0)):
        lines = "".join(f"{file},{label}\n" for file, label in labels.items())
        (images(project) / "labels.csv").write_text(f"file,label\n{lines}")
        assert project.run("tasks", "build_split").returncode == code
    manifest = read_manifest(project.folder / MANIFEST)
    assert dict(zip(manifest["image_id"], manifest["label"], strict=True)) == {
        f"xray/xray/{file}": label for file, label in rows.items()
    }
