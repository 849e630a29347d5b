"""The RSNA challenge's tables."""

from pathlib import Path

import pytest

from coronet_core.common.manifest import as_table
from coronet_core.data.image_record import Listing
from coronet_core.data.patients.patient_audit import doubtful_patients, patient_warnings
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.sources import rsna
from coronet_core.support.errors import DataError

CLASSES = {"Normal": "healthy", "Lung Opacity": "pneumonia"}
INFO = "patientId,class\nn,Normal\nn2,Normal\no,Lung Opacity\no,Lung Opacity\nx,No Lung Opacity / Not Normal\n"
LABELS = "patientId,x,y,width,height,Target\nn,,,,,0\nn2,,,,,0\no,256,128,512,256,1\no,0,0,1024,1024,1\nx,,,,,0\n"
MAP = "rsna_patientId,nih_image,nih_patient\nn,1_0.png,1\nn2,2_0.png,2\no,1_1.png,1\nx,3_0.png,3\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "info.csv").write_text(INFO)
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "map.csv").write_text(MAP)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "n.dcm").write_bytes(b"dicom")
    (tmp_path / "images" / "o.png").write_bytes(b"converted")
    return tmp_path


def listing(folder: Path, nih_map: str | None = None, counted_by: rsna.CountedBy = "image") -> Listing:
    return rsna.records(folder, "images", "info.csv", "labels.csv", nih_map, CLASSES, counted_by)


def test_an_image_is_listed_once_with_all_its_boxes(folder: Path) -> None:
    found = listing(folder)
    assert [(record.name, record.label) for record in found.records] == [
        ("n", "healthy"),
        ("n2", "healthy"),
        ("o", "pneumonia"),
    ]
    assert found.records[2].opacity_boxes == ((0.25, 0.125, 0.75, 0.375), (0.0, 0.0, 1.0, 1.0))
    assert found.passed_over == {"class No Lung Opacity / Not Normal": 1}


def test_counted_by_box_it_is_listed_for_each(folder: Path) -> None:
    assert [record.name for record in listing(folder, counted_by="box").records] == ["n", "n2", "o", "o"]


def test_the_map_tells_the_patients(folder: Path) -> None:
    assert [r.patient_id for r in listing(folder, "map.csv").records] == ["nih-1", "nih-2", "nih-1"]


def test_without_the_map_nobody_is_known_even_if_headers_repeat_the_id_of_the_image(folder: Path) -> None:
    columns = [Ids("key", as_given=True).patient_columns(record, record.name) for record in listing(folder).records]
    assert [column["patient_id"] for column in columns] == ["rsna/n", "rsna/n2", "rsna/o"]
    assert [column["patient_id_from"] for column in columns] == ["none"] * 3
    (warning,) = patient_warnings(doubtful_patients(as_table(columns)), 3)
    assert warning.startswith("No patient id in 3 of 3 images: each counts as a separate patient")
    assert "nih_map_csv" in warning


def test_a_map_that_lacks_an_image_is_an_error(folder: Path) -> None:
    (folder / "map.csv").write_text(MAP.replace("n2,", "n2.dcm,"))
    with pytest.raises(DataError, match=r"map\.csv: lacks 1 of RSNA's images, such as n2\."):
        listing(folder, "map.csv")


def test_a_target_without_its_box_is_an_error(folder: Path) -> None:
    (folder / "labels.csv").write_text(LABELS.replace("o,0,0,1024,1024,1", "o,,,,,1"))
    with pytest.raises(DataError, match=r"labels\.csv: image o has a Target of 1 and no box"):
        listing(folder)


def test_images_are_found_in_whatever_format_they_are(folder: Path) -> None:
    first, missing, second = listing(folder).records
    assert (first.read(), second.read()) == (b"dicom", b"converted")
    assert missing.version == "missing"


def test_an_id_that_leads_out_of_the_folder_is_an_error(folder: Path) -> None:
    for name in ("info.csv", "labels.csv"):
        (folder / name).write_text((folder / name).read_text().replace("\nn,", "\n../n,"))
    with pytest.raises(DataError, match=r"info\.csv: image '\.\./n' is refused"):
        listing(folder)


def test_tables_that_contradict_each_other_are_an_error(folder: Path) -> None:
    (folder / "labels.csv").write_text(LABELS.replace("n,,,,,0", "n,1,1,9,9,1"))
    with pytest.raises(DataError, match=r"1 image has a Target that their detailed class contradicts \(n is the first"):
        listing(folder)


def test_missing_tables_are_errors_with_a_remedy(folder: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: no such table\. It is RSNA's mapping.*set nih_map_csv to null"):
        listing(folder, "gone.csv")
    (folder / "info.csv").unlink()
    with pytest.raises(DataError, match=r"info\.csv: no such table\. Fetch the challenge's data with"):
        listing(folder)
