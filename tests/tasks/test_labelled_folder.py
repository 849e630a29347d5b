"""What a folder that is to be validated on must have, in one line each."""

import re
from pathlib import Path

import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import CoroNetError
from tasks.external_validation.labelled_folder import LabelledFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images of each class in folders of their names, from the folder around them."""
    for label in CLASSES:
        (tmp_path / "ward" / label).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (8, 8), 40 * number).save(tmp_path / "ward" / label / f"P{number}_{label}.png")
    monkeypatch.chdir(tmp_path)
    return Path("ward")


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_folders_name_the_classes(folder: Path) -> None:
    found = LabelledFolder.of(folder)
    assert found.name == "ward"
    assert found.files[0] == "covid19/P0_covid19.png"
    assert [record.label for record in found.listing.records] == [label for label in sorted(CLASSES) for _ in "12"]


@pytest.mark.parametrize("place", ["labels.csv", "ward/mine.csv", "elsewhere.csv"])
def test_a_table_may_lie_in_the_folder_or_elsewhere(folder: Path, place: str) -> None:
    lines = ("file,label,patient_id,sex", "healthy/P0_healthy.png,covid19,7,F", "covid19/P1_covid19.png,healthy,8,M")
    table(folder / "labels.csv" if place == "labels.csv" else Path(place), *lines)
    found = LabelledFolder.of(folder, Path(place))
    assert [(one.label, one.patient_id, one.sex) for one in found.listing.records] == [
        ("healthy", "8", "M"),
        ("covid19", "7", "F"),
    ]


def test_the_table_of_the_folder_is_read_without_being_named(folder: Path) -> None:
    table(folder / "labels.csv", "file,label", "healthy/P0_healthy.png,covid19", "healthy/P1_healthy.png,covid19")
    assert [record.label for record in LabelledFolder.of(folder).listing.records] == ["covid19"] * 2


def test_a_link_to_the_folder_is_followed(folder: Path) -> None:
    Path("link").symlink_to(folder)
    assert LabelledFolder.of(Path("link")).name == "ward"


def test_patients_may_be_in_the_names_of_files(folder: Path) -> None:
    found = LabelledFolder.of(folder, patient_id_pattern="(P[0-9])_")
    assert {record.patient_id for record in found.listing.records} == {"P0", "P1"}


@pytest.mark.parametrize(
    ("changes", "arguments", "reason"),
    [
        ({}, {"folder": "nowhere"}, "nowhere: no such folder. Give one with labelled X-rays."),
        ({}, {"labels": "nowhere.csv"}, "nowhere.csv: no such table, neither here nor in "),
        ({"stray.png": b"x"}, {}, "stray.png: no class folder above it; a class is one of healthy, pneumonia, covid19"),
        ({"stray.png": b"x"}, {}, "Correct or remove it, or give it in the column label of a table (--labels)."),
        ({"tuberculosis/a.png": b"x"}, {}, "tuberculosis/a.png: no class folder above it"),
        ({"labels.csv": b"file,label\nhealthy/P0_healthy.png,tb\n"}, {}, "the label 'tb'; a class is one of"),
        ({"labels.csv": b"file,label\nhealthy/none.png,healthy\n"}, {}, "names files that do not exist"),
        ({"labels.csv": b"name,label\na,healthy\n"}, {}, "no column file (found: name, label)"),
        ({"labels.csv": b"file,label\nhealthy/P0_healthy.png,healthy\n"}, {}, "1 labelled image "),
        ({}, {"pattern": "P("}, "patient_id_pattern = P(: not a regular expression"),
        (
            {},
            {"pattern": "P[0-9]"},
            "patient_id_pattern = P[0-9]: has no group. Put what names the patient in brackets",
        ),
    ],
)
def test_bad_input_is_one_line(folder: Path, changes: dict[str, bytes], arguments: dict[str, str], reason: str) -> None:
    for name, content in changes.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    labels, pattern = arguments.get("labels"), arguments.get("pattern")
    with pytest.raises(CoroNetError, match=re.escape(reason)) as error:
        LabelledFolder.of(Path(arguments.get("folder", folder)), None if labels is None else Path(labels), pattern)
    assert "\n" not in str(error.value)
    assert "params.yaml" not in str(error.value)


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(
        CoroNetError, match=r"0 labelled images \(skipped: not an image \(1\)\), at least 2 needed\. Put them in"
    ):
        LabelledFolder.of(tmp_path)
