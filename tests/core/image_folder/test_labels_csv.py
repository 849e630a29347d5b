"""Class folders with a labels CSV."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError
from tests.core.image_folder.class_folders import companions, every_image, records, write_csv


def test_a_csv_tells_all_that_it_has_columns_for(folder: Path) -> None:
    write_csv(
        folder,
        "file,label,patient_id,view,sex,age,source,licence,scanner",
        "healthy/P0_healthy.png,covid19,anon-7,PA,F,61,hospital,CC0,x",
        *every_image(folder, ",healthy,,,,,,,")[3:4],
        *every_image(folder, ",pneumonia,,,,,,,")[4:],
    )
    first = next(r for r in records(folder, "labels.csv", None) if r.patient_id == "anon-7")
    assert (first.label, first.view, first.sex, first.age) == ("covid19", "PA", "F", 61.0)
    assert (first.source, first.licence) == ("hospital", "CC0")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file", "healthy/gone.png"], r"names files that do not exist: healthy/gone\.png.*delete their rows"),
        (["path", "healthy/P0_healthy.png"], r"no column file \(found: path\)\. Name each image"),
        (
            ["file,label", "healthy/P0_healthy.png,flu"],
            r"the label 'flu'; a class is one of healthy, pneumonia, covid19",
        ),
        (["file,label", ",healthy"], r"labels\.csv: has a row without a file\. Name the image's path"),
        (["file", "healthy/p0_HEALTHY.png"], r"do not exist: .*\. Did you mean healthy/P0_healthy\.png\? Paths are"),
        (["file", r"..\P0_healthy.png"], r"file '\.\./P0_healthy\.png' is refused: it leads out of its folder"),
        (
            ["file,label", "healthy/P0_healthy.png,pnuemonia"],
            r"healthy/P0_healthy\.png: the label 'pnuemonia'; .*covid19\. Did you mean pneumonia\?",
        ),
        (["file", "healthy/P0_healthy.png", "./healthy/P0_healthy.png "], r"lists healthy/P0_healthy\.png more than"),
        (["file", "../P0_healthy.png"], r"file '\.\./P0_healthy\.png' is refused: it leads out of its folder"),
    ],
)
def test_faults_of_the_csv_are_named_with_a_remedy(folder: Path, lines: list[str], message: str) -> None:
    write_csv(folder, *lines)
    with pytest.raises(DataError, match=message):
        records(folder, "labels.csv", None)


def test_a_missing_csv_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: no such table"):
        records(folder, "labels.csv", None)


def test_patient_ids_are_stripped(folder: Path) -> None:
    write_csv(folder, "file,patient_id", "healthy/P0_healthy.png,7", "healthy/P1_healthy.png,7 ")
    assert {r.patient_id for r in records(folder, "labels.csv", None)} == {"7"}


def test_images_that_the_csv_does_not_list_are_counted(folder: Path) -> None:
    write_csv(folder, "file", "healthy/P0_healthy.png")
    found = image_folder.records(folder.parent, "xray", "labels.csv", None)
    assert len(found.records) == 1
    assert found.passed_over == {"not listed in the labels CSV": 5}


def test_a_csv_of_everything_in_the_folder_lists_no_masks_and_companions(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "healthy/P0_healthy_mask.png")
    names = [*every_image(folder), *companions(folder)]
    write_csv(folder, "file,label", *(f"{name},healthy" for name in names))
    found = image_folder.records(folder.parent, "xray", "labels.csv", None)
    assert (len(found.records), found.passed_over) == (6, {"hidden or companion file": 3, "mask beside images": 1})


def test_backslashes_separate_folders(folder: Path) -> None:
    write_csv(folder, "file", r"healthy\P0_healthy.png", r".\covid19\P1_covid19.png")
    assert [r.name for r in records(folder, "labels.csv", None)] == [
        "xray/covid19/P1_covid19.png",
        "xray/healthy/P0_healthy.png",
    ]


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFC", "NFC")])
def test_letters_with_accents_are_the_same_composed_or_not(folder: Path, on_disk: str, in_table: str) -> None:
    name = "M\u00fcller_\u00e9.png"
    file = folder / "healthy" / unicodedata.normalize(on_disk, name)  # type: ignore[arg-type]
    Image.new("L", (8, 8), 9).save(file)
    write_csv(folder, "file", f"healthy/{unicodedata.normalize(in_table, name)}")  # type: ignore[arg-type]
    (found,) = records(folder, "labels.csv", None)
    assert found.name == f"xray/healthy/{file.name}"
    assert found.read() == file.read_bytes()


def test_a_table_in_a_guessed_encoding_says_so_where_its_names_are_wrong(folder: Path) -> None:
    (folder / "labels.csv").write_bytes("file\nhealthy/M\u00fcller.png\n".encode("mac_roman"))
    with pytest.raises(DataError, match="was read as Windows-1252: save it as CSV in UTF-8"):
        records(folder, "labels.csv", None)


def test_blank_rows_are_passed_over(folder: Path) -> None:
    write_csv(folder, "file;label;patient_id", *every_image(folder, ";healthy;7"), ";;", "", " ; ; ")
    assert len(records(folder, "labels.csv", None)) == 6


def test_placeholders_in_the_table_are_no_patient(folder: Path) -> None:
    ids = ["7", "7.0", "nan", "", "0", "ANONYMOUS"]
    lines = [f"{file},{one}" for file, one in zip(every_image(folder), ids, strict=True)]
    write_csv(folder, "file,patient_id", *lines)
    found = records(folder, "labels.csv", None)
    assert [r.patient_id for r in found] == ["7", "7", None, None, None, None]
    assert [r.has_placeholder_id for r in found] == [False, False, True, False, True, True]


@pytest.mark.parametrize("column", ["patient_id", "Patient ID", "PatientID", "patientId"])
def test_the_column_of_patients_is_known_by_all_its_spellings(folder: Path, column: str) -> None:
    write_csv(folder, f"file,{column}", *every_image(folder, ",7"))
    assert {r.patient_id for r in records(folder, "labels.csv", None)} == {"7"}


def test_the_column_patient_id_goes_before_other_spellings(folder: Path) -> None:
    write_csv(folder, "file,patient_id,PatientID", *every_image(folder, ",7,8"))
    assert {r.patient_id for r in records(folder, "labels.csv", None)} == {"7"}


def test_fields_that_are_not_understood_are_unknown_and_counted(folder: Path) -> None:
    first, second, *_ = every_image(folder)
    write_csv(folder, "file,age,sex,view", f"{first},058Y,Female,pa", f"{second},old,x-ray,")
    found = image_folder.records(folder.parent, "xray", "labels.csv", None)
    assert [(r.age, r.sex, r.view) for r in found.records] == [(58.0, "F", "PA"), (None, None, None)]
    assert found.unread == {"age": 1, "sex": 1}


@pytest.mark.parametrize("column", ["PatientID", "pid", "Subject ID", "patient-id"])
def test_columns_of_patients_have_several_names(folder: Path, column: str) -> None:
    write_csv(folder, f"file,{column}", "healthy/P0_healthy.png,7")
    (record,) = records(folder, "labels.csv", None)
    assert record.patient_id == "7"


def test_an_empty_column_of_patients_hides_no_full_one(folder: Path) -> None:
    write_csv(folder, "file,PatientID,patient_id", "healthy/P0_healthy.png,7,")
    (record,) = records(folder, "labels.csv", None)
    assert record.patient_id == "7"


def test_the_labels_csv_is_read_if_it_is_there(folder: Path) -> None:
    write_csv(folder, "file,patient_id", *every_image(folder, ",7"))
    assert {r.patient_id for r in records(folder, "auto", None)} == {"7"}
