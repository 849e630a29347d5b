"""Whose an image is: ids of tables, of headers, and of nobody, from files to the split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import read_manifest
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import ImageFolderSource
from tasks.runtime.paths import MANIFEST, SPLIT_REPORT
from tests.conftest import PROJECT
from tests.core.test_dicom import dicom, saved
from tests.tasks.split.raw_images import RAW, add_patients, file_of

pytestmark = pytest.mark.usefixtures("without_mlflow")


def add_dicoms(name_of: Callable[[str, int], str], patient_of: Callable[[str, int], str], images: range) -> None:
    for label in CLASSES:
        for number in images:
            pixels, _ = phantom.draw(12, label, f"dicom-{number}", 0, 128)
            content = saved(dicom(pixels, PatientID=patient_of(label, number)))
            (RAW / label / name_of(label, number)).write_bytes(content)


def without_pattern(labels_csv: str | None = None) -> list[ImageFolderSource]:
    return [ImageFolderSource(kind="image_folder", folder="xray", labels_csv=labels_csv, patient_id_pattern=None)]


def write_labels(patient_of: Callable[[Path], str]) -> None:
    files = sorted(path for path in RAW.rglob("*") if path.suffix in {".png", ".dcm"})
    rows = [f"{path.relative_to(RAW)},{patient_of(path)}" for path in files]
    (RAW / "labels.csv").write_text("\n".join(["file,patient_id", *rows]) + "\n")


def test_a_patient_of_a_table_and_of_headers_is_in_one_split(build: Callable[..., Any]) -> None:
    add_dicoms(lambda _, i: f"P{i:03d}d_0.dcm", lambda label, i: f"{label}-{i}", range(8))
    write_labels(lambda path: "" if path.suffix == ".dcm" else f"{path.parent.name}-{int(path.name[1:4])}")
    report = build(sources=without_pattern("labels.csv"), duplicates="keep")
    assert sum(sum(by_class.values()) for by_class in report["patients"].values()) == 24
    assert report["patient_ids"]["from"] == {"table": 24, "header": 24}
    manifest, files = read_manifest(MANIFEST), file_of()
    people = manifest["image_id"].map(lambda image: f"{files[image].parent.name}-{files[image].name[:4]}")
    assert manifest.groupby(people)["split"].nunique().max() == 1
    assert manifest["patient_id"].nunique() == 24


def test_a_placeholder_is_no_patient_and_that_is_said(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    add_dicoms(lambda _, i: f"P{i:03d}d_0.dcm", lambda *_: "ANONYMOUS", range(8))
    report = build(sources=without_pattern(), duplicates="keep")  # phantoms look alike
    assert read_manifest(MANIFEST)["patient_id"].nunique() == 48
    said = "A placeholder such as 0 or ANONYMOUS instead of a patient id in 24 of 48 images: "
    assert any(text.startswith(said) for text in report["warnings"])
    assert f"warning: {said}" in capsys.readouterr().out


def test_patients_whose_ids_are_doubtful_are_named_by_an_image(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    add_dicoms(lambda _, i: f"P{i:03d}d_0.dcm", lambda *_: "TEST-HOSPITAL", range(8))
    first, second = sorted(RAW.rglob("P00[01]healthy_0.png"))
    own = {first: "7", second: "007"}
    write_labels(lambda path: "" if path.suffix == ".dcm" else own.get(path, path.stem))
    report = build(sources=without_pattern("labels.csv"), duplicates="keep")
    (unlikely,) = report["patient_ids"]["unlikely"]
    assert unlikely["images"] == 24
    assert len(report["patient_ids"]["leading_zeros"]) == 1
    said = capsys.readouterr().out
    assert f"warning: Patient {unlikely['patient_id']} has 24 of 48 images (50%)" in said
    assert f"patient {unlikely['patient_id']}: of xray/covid19/P000d_0.dcm" in said
    for file, own_id in own.items():
        assert f": '{own_id}', of xray/healthy/{file.name}" in said
    assert "TEST-HOSPITAL" not in said + SPLIT_REPORT.read_text()


def test_patients_stay_where_they_were_when_their_ids_are_read_in_another_way(build: Callable[..., Any]) -> None:
    """Patients by the name of the file, then by a table that comes later."""
    build()
    before = read_manifest(MANIFEST).set_index("image_id")["split"]
    write_labels(lambda path: f"{path.parent.name} {int(path.name[1:4])}")
    add_patients(range(8, 12))
    write_labels(lambda path: f"{path.parent.name} {int(path.name[1:4])}")
    build(sources=without_pattern("labels.csv"))
    after = read_manifest(MANIFEST).set_index("image_id")
    assert after.loc[before.index, "split"].to_dict() == before.to_dict()
    assert after["patient_id"].nunique() == 36


def test_when_nobody_is_left_to_test_with_the_error_says_how_to_deal_anew(build: Callable[..., Any]) -> None:
    build()
    write_labels(lambda path: path.parent.name)  # one patient a class, in all splits until now
    with pytest.raises(
        DataError, match=r"keep the split of the last build: to split all of them again, delete data/split"
    ):
        build(sources=without_pattern("labels.csv"))


def test_the_preset_for_own_x_rays_needs_no_labels_csv(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    preset = read_params(PROJECT / "params/xray.yaml").data
    report = build(sources=preset.sources)
    assert report["images"]["train"]["healthy"] > 0
    assert "no labels.csv, so the folder names are the classes." in capsys.readouterr().out


def test_ages_above_the_oldest_are_written_as_one_and_unread_ones_counted(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(RAW.rglob("*.png"))
    ages = ["058Y", "95", "104 years", "old", *["61"] * (len(files) - 4)]
    rows = [f"{path.relative_to(RAW)},{path.stem},{age}" for path, age in zip(files, ages, strict=True)]
    (RAW / "labels.csv").write_text("\n".join(["file,patient_id,age", *rows]) + "\n")
    report = build(sources=without_pattern("labels.csv"))
    assert read_manifest(MANIFEST)["age"].value_counts().to_dict() == {61.0: 20, 90.0: 2, 58.0: 1}
    assert report["unread"] == {"image_folder: age": 1}
    assert "not understood, treated as unknown: 1 value of image_folder: age" in capsys.readouterr().out
