"""Images and patients that the model was trained or validated with do not count in an external validation."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError
from tasks.external_validation.overlap import NO_PIXELS, OTHER_KEY, TRAINING_IMAGE, TRAINING_PATIENT
from tasks.external_validation.validation import Validation
from tests.core.test_dicom import dicom, saved
from tests.tasks.external_run import (
    KNOWN,
    Records,
    from_elsewhere,
    labelled,
    of_split,
    reasons,
    validated,
    write_folder,
)


def test_a_split_that_is_not_here_is_looked_for_in_dvc_s_cache(
    records: Records, own_test: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert records
    package = KNOWN.resolve()
    shutil.copytree(".dvc", tmp_path / ".dvc")
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    summary = validated(own_test, package).summary
    assert summary["overlap"]["checked"] == ["images", "patients"]
    assert summary["overlap"]["own_test_images"] == summary["metrics"]["images"]
    assert NO_PIXELS in summary["notes"]
    assert summary["figures"]["accuracy"]["interval"] is not None


def test_training_images_are_left_out_whatever_they_are_called(mixed: Validation, records: Records) -> None:
    overlap = mixed.summary["overlap"]
    assert (overlap["images"], overlap["patients"]) == ({"bytes": 1, "pixels": 0, "near": 1}, 1)
    assert overlap["checked"] == ["images", "near_duplicates", "patients"]
    table = mixed.left_out.set_index("file")
    assert table.loc[["seen.pgm", "darker.png"], "reason"].tolist() == [TRAINING_IMAGE] * 2
    assert table.loc[["seen.pgm", "darker.png"], "kind"].tolist() == ["bytes", "near"]
    named = [records[image].name for image in table.loc[["seen.pgm", "darker.png"], "training_image"]]
    assert named == [record.name for record in of_split(records, "train")[:2]]


def test_patients_of_training_images_are_left_out(mixed: Validation) -> None:
    assert reasons(mixed)["patient.pgm"] == TRAINING_PATIENT


def test_what_is_left_out_does_not_count(mixed: Validation) -> None:
    images = mixed.summary["images"]
    assert (images["listed"], images["evaluated"]) == (10, 5)
    assert mixed.summary["metrics"]["images"] == len(mixed.predictions) == 5
    assert images["unreadable"] == {"not an image": 1}
    assert images["duplicates"] == 1
    assert images["skipped"] == {"not an image": 1}
    assert set(reasons(mixed)) | set(mixed.predictions["file"]) == {*reasons(mixed), *mixed.predictions["file"]}
    assert not set(reasons(mixed)) & set(mixed.predictions["file"])
    assert len(reasons(mixed)) == 5


def test_dicom_headers_name_patient_view_and_sex(records: Records, tmp_path: Path) -> None:
    patients = (of_split(records, "train")[0].patient_id or "", "ward-1", "ward-2")
    for label, patient in zip(CLASSES, patients, strict=True):
        pixels = phantom.draw(9, label, patient, 0, 96)[0]
        header = dicom(pixels, PatientID=patient, ViewPosition="AP", PatientSex="F", PatientAge="050Y")
        (tmp_path / "ward" / label).mkdir(parents=True)
        (tmp_path / "ward" / label / "scan").write_bytes(saved(header))
    found = validated(tmp_path / "ward")
    assert reasons(found) == {f"{CLASSES[0]}/scan": TRAINING_PATIENT}, "whom the split knows by a table"
    groups = found.summary["metrics"]["subgroups"]
    assert [list(groups[grouping]) for grouping in ("view", "sex", "age_group")] == [["AP"], ["F"], ["40-59"]]


def test_images_without_patient_ids_are_compared_as_images_alone(records: Records, tmp_path: Path) -> None:
    seen = replace(labelled(of_split(records, "train")[0]), name="seen.pgm")
    folder = write_folder(tmp_path / "ward", [seen, *from_elsewhere()], columns=("file", "label"))
    summary = validated(folder).summary
    assert summary["overlap"]["images"]["bytes"] == 1
    assert any("No patient id in 7 of 7 external images" in note for note in summary["notes"])


def test_patients_by_another_key_cannot_be_compared(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = of_split(records, "train")[0].patient_id or ""
    images = from_elsewhere()
    folder = write_folder(tmp_path / "ward", [replace(images[0], patient=patient), *images[1:]])
    assert validated(folder).summary["overlap"]["patients"] == 1
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "another")
    summary = validated(folder).summary
    assert OTHER_KEY in summary["notes"]
    assert summary["overlap"]["checked"] == ["images", "near_duplicates"]
    assert summary["overlap"]["patients"] == 0


def test_a_folder_of_training_images_alone_is_refused(records: Records, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "ward", [labelled(record) for record in of_split(records, "train")[:3]])
    with pytest.raises(DataError, match=rf"0 of 3 images left, at least 2 needed \(3: {TRAINING_IMAGE}\)"):
        validated(folder)
