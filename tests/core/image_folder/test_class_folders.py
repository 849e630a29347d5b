"""Class folders without a labels CSV: which files are images, and whose."""

import re
from pathlib import Path

import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError
from tests.core.image_folder.class_folders import companions, records


def test_without_a_csv_the_folder_is_the_class_and_every_image_a_patient(folder: Path) -> None:
    found = records(folder, None, None)
    assert [(r.label, r.source) for r in found] == [(label, "xray") for label in sorted(CLASSES) for _ in range(2)]
    assert {r.patient_id for r in found} == {None}


def test_a_pattern_finds_the_patient_in_the_path(folder: Path) -> None:
    study = folder / "covid19" / "patient00001" / "study1"
    study.mkdir(parents=True)
    Image.new("L", (8, 8), 7).save(study / "view1.png")
    found = records(folder, None, r"(patient\d+|P\d)[/_]")
    assert {r.patient_id for r in found} == {"patient00001", "P0", "P1"}


def test_the_file_name_goes_before_the_path(folder: Path) -> None:
    (folder / "covid19" / "P7_batch").mkdir()
    (folder / "covid19" / "P0_covid19.png").rename(folder / "covid19" / "P7_batch" / "P0_covid19.png")
    assert {r.patient_id for r in records(folder, None, r"(P\d)_")} == {"P0", "P1"}


def test_a_pattern_finds_the_patient_in_the_file_name(folder: Path) -> None:
    assert {r.patient_id for r in records(folder, None, r"^(P\d)_")} == {"P0", "P1"}


def test_a_pattern_that_finds_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="finds no patient in this file name"):
        records(folder, None, r"^(Q\d)_")


def test_reading_gives_the_bytes_of_the_file(folder: Path) -> None:
    assert records(folder, None, None)[0].read() == (folder / "covid19" / "P0_covid19.png").read_bytes()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder\. Put the images there"):
        records(tmp_path / "gone", None, None)


def test_a_link_to_a_folder_is_an_error(folder: Path) -> None:
    (folder / "healthy" / "more").symlink_to(folder.parent)
    with pytest.raises(DataError, match=r"more: a link to a folder.*Set data\.root to the real folder"):
        records(folder, None, None)


def test_an_image_outside_the_class_folders_is_an_error(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "stray.png")
    with pytest.raises(DataError, match=re.escape("stray.png: no class folder above it")):
        records(folder, None, None)


def test_folders_of_the_same_name_are_told_apart(folder: Path) -> None:
    found = [image_folder.records(folder.parents[1], f"{folder.parent.name}/{folder.name}", None, None).records[0]]
    assert found[0].name.startswith(f"{folder.parent.name}/xray/covid19/")
    assert found[0].source == f"{folder.parent.name}/xray"


def test_dicom_files_without_a_suffix_are_listed_and_other_files_counted(folder: Path) -> None:
    (folder / "healthy" / "IM0001").write_bytes(bytes(128) + b"DICM")
    (folder / "healthy" / "README").write_text("no image")
    (folder / "healthy" / "notes.txt").write_text("no image")
    found = image_folder.records(folder.parent, "xray", None, None)
    assert "xray/healthy/IM0001" in {record.name for record in found.records}
    assert found.passed_over == {"not an image": 2}


def test_dicom_files_named_by_their_uid_are_listed(folder: Path) -> None:
    uid = "1.2.826.0.1.3680043.8.498.56242119308373017703540158726961484181"
    for name in (uid, "series.IMA", "scan.dicm"):
        (folder / "healthy" / name).write_bytes(bytes(128) + b"DICM")
    found = image_folder.records(folder.parent, "xray", None, None)
    assert {f"xray/healthy/{name}" for name in (uid, "series.IMA", "scan.dicm")} <= {r.name for r in found.records}
    assert not found.passed_over


def test_companions_of_macos_and_notebooks_are_passed_over(folder: Path) -> None:
    companions(folder)
    found = image_folder.records(folder.parent, "xray", None, None)
    assert (len(found.records), found.passed_over) == (6, {"hidden or companion file": 3})


def test_masks_beside_the_images_of_a_class_are_passed_over(folder: Path) -> None:
    for label in CLASSES:
        for inner in ("images", "masks"):
            (folder / label / inner).mkdir()
            Image.new("L", (8, 8)).save(folder / label / inner / "1.png")
    found = image_folder.records(folder.parent, "xray", None, None)
    assert (len(found.records), found.passed_over) == (9, {"mask beside images": 3})


def test_without_a_labels_csv_the_folders_are_read_and_other_tables_named(folder: Path) -> None:
    (folder / "metadata.xlsx").write_bytes(b"PK")
    found = image_folder.records(folder.parent, "xray", "auto", None)
    assert len(found.records) == 6
    (note,) = found.notes
    assert note == (
        f"{folder}: no labels.csv, so the folders' names are the classes. metadata.xlsx is not read: labels_csv in "
        "params.yaml can name it."
    )
