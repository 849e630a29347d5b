"""Class folders, with and without a labels CSV."""

import re
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from coronet_core.data.fields import ALIASES
from coronet_core.data.image_record import Record
from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError


def records(folder: Path, labels_csv: str | None, patient_id_pattern: str | None) -> list[Record]:
    return image_folder.records(folder.parent, folder.name, labels_csv, patient_id_pattern).records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "xray"
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (8, 8), 40 * number).save(root / label / f"P{number}_{label}.png")
    return root


def write_csv(folder: Path, *lines: str) -> None:
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def every_image(folder: Path, suffix: str = "") -> list[str]:
    return [f"{path.relative_to(folder)}{suffix}" for path in sorted(folder.rglob("*.png"))]


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


def test_reading_gives_the_bytes_of_the_file(folder: Path) -> None:
    assert records(folder, None, None)[0].read() == (folder / "covid19" / "P0_covid19.png").read_bytes()


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


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such folder\. Put the images there"):
        records(tmp_path / "gone", None, None)


def test_a_link_to_a_folder_is_an_error(folder: Path) -> None:
    (folder / "healthy" / "more").symlink_to(folder.parent)
    with pytest.raises(DataError, match=r"more: a link to a folder.*Set data\.root to the real folder"):
        records(folder, None, None)


def test_patient_ids_are_stripped(folder: Path) -> None:
    write_csv(folder, "file,patient_id", "healthy/P0_healthy.png,7", "healthy/P1_healthy.png,7 ")
    assert {r.patient_id for r in records(folder, "labels.csv", None)} == {"7"}


def test_an_image_outside_the_class_folders_is_an_error(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "stray.png")
    with pytest.raises(DataError, match=re.escape("stray.png: no class folder above it")):
        records(folder, None, None)


def test_a_pattern_that_finds_nothing_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="finds no patient in this file name"):
        records(folder, None, r"^(Q\d)_")


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


def test_images_that_the_csv_does_not_list_are_counted(folder: Path) -> None:
    write_csv(folder, "file", "healthy/P0_healthy.png")
    found = image_folder.records(folder.parent, "xray", "labels.csv", None)
    assert len(found.records) == 1
    assert found.passed_over == {"image that the labels CSV does not list": 5}


def test_dicom_files_named_by_their_uid_are_listed(folder: Path) -> None:
    uid = "1.2.826.0.1.3680043.8.498.56242119308373017703540158726961484181"
    for name in (uid, "series.IMA", "scan.dicm"):
        (folder / "healthy" / name).write_bytes(bytes(128) + b"DICM")
    found = image_folder.records(folder.parent, "xray", None, None)
    assert {f"xray/healthy/{name}" for name in (uid, "series.IMA", "scan.dicm")} <= {r.name for r in found.records}
    assert not found.passed_over


def companions(folder: Path) -> list[str]:
    names = ["healthy/._P0_healthy.png", "__MACOSX/healthy/._P0_healthy.png", "healthy/.ipynb_checkpoints/a.png"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    return names


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


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("COVID-19", "covid19"),
        ("covid", "covid19"),
        ("COVID_19", "covid19"),
        ("SARS-CoV-2", "covid19"),
        ("Normal", "healthy"),
        ("No Finding", "healthy"),
        ("Viral Pneumonia", "pneumonia"),
        ("PNEUMONIA_BACTERIAL", "pneumonia"),
    ],
)
def test_common_names_of_the_classes_are_known(folder: Path, name: str, label: str) -> None:
    write_csv(folder, "file,label", f"healthy/P0_healthy.png,{name}")
    assert records(folder, "labels.csv", None)[0].label == label
    (folder / "labels.csv").unlink()
    (folder / "healthy").rename(folder / name)
    assert label in {r.label for r in records(folder, None, None) if r.name.startswith(f"xray/{name}/")}


@pytest.mark.parametrize("name", ["Lung_Opacity", "tuberculosis", "positive", "viral"])
def test_what_may_be_another_disease_is_no_class(folder: Path, name: str) -> None:
    (folder / "healthy").rename(folder / name)
    with pytest.raises(DataError, match=r"no class folder above it.*or name it in the source's class_aliases"):
        records(folder, None, None)


def test_the_params_name_further_aliases(folder: Path) -> None:
    (folder / "healthy").rename(folder / "Controls")
    found = image_folder.records(folder.parent, "xray", None, None, {**ALIASES, "controls": "healthy"}).records
    assert [r.label for r in found] == ["healthy"] * 2 + ["covid19"] * 2 + ["pneumonia"] * 2


def test_folders_that_name_two_classes_are_an_error_with_an_alias_and_the_inner_one_without(folder: Path) -> None:
    inner = folder / "pneumonia" / "healthy"
    inner.mkdir()
    (folder / "pneumonia" / "P0_pneumonia.png").rename(inner / "P0.png")
    assert next(r.label for r in records(folder, None, None) if r.name.endswith("P0.png")) == "healthy"  # as ever
    inner.rename(folder / "pneumonia" / "COVID-19")
    with pytest.raises(DataError, match=r"P0\.png: its folders name several classes \(COVID-19, pneumonia\)"):
        records(folder, None, None)


@pytest.mark.parametrize("name", ["non-covid", "not_covid", "negative", "COVID-19 negative"])
def test_a_folder_that_says_what_it_is_not_is_no_part_of_the_class_around_it(folder: Path, name: str) -> None:
    (folder / "covid19" / name).mkdir()
    (folder / "covid19" / "P0_covid19.png").rename(folder / "covid19" / name / "a.png")
    with pytest.raises(DataError, match=f"{name}' says what it is not") as caught:
        records(folder, None, None)
    assert "Did you mean" not in str(caught.value)


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


def test_without_a_labels_csv_the_folders_are_read_and_other_tables_named(folder: Path) -> None:
    (folder / "metadata.xlsx").write_bytes(b"PK")
    found = image_folder.records(folder.parent, "xray", "auto", None)
    assert len(found.records) == 6
    (note,) = found.notes
    assert note == (
        f"{folder}: no labels.csv, so the folders' names are the classes. metadata.xlsx is not read: labels_csv in "
        "params.yaml can name it."
    )
