"""COVID-Net's published lists, with all their quirks."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from coronet_core.data.image_record import Listing
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.sources import covidx_lists
from coronet_core.support.errors import DataError

LABELS = {"normal": "healthy", "pneumonia": "pneumonia", "COVID-19": "covid19"}
PARTS = {"train": "train.txt", "test": "test.txt"}
IMAGES = {"train": "train", "test": "test"}
RSNA_ID = "47c78742-4998-4878-aec4-37b11b1354ac"


def listing(folder: Path, train: str, test: str, nih_map: str | None = None) -> Listing:
    (folder / "train.txt").write_text(train)
    (folder / "test.txt").write_text(test)
    return covidx_lists.records(folder, PARTS, IMAGES, LABELS, nih_map)


@pytest.mark.parametrize(
    ("line", "patient", "file", "source"),
    [
        ("8 SARS-day9.jpeg pneumonia", "cohen-8", "SARS-day9.jpeg", "covid-chestxray"),
        (f"{RSNA_ID} {RSNA_ID}.png normal", None, f"{RSNA_ID}.png", "rsna"),
        (f"{RSNA_ID} {RSNA_ID}.png normal rsna", None, f"{RSNA_ID}.png", "rsna"),
        (f"{RSNA_ID} {RSNA_ID}.png normal rnsa", None, f"{RSNA_ID}.png", "rsna"),
        ("COVID-00001 COVID-00001.jpg COVID-19", "covidx-COVID-00001", "COVID-00001.jpg", "covidx"),
        ("8 a.png COVID-19 cohen", "cohen-8", "a.png", "covid-chestxray"),
        ("ANON191 ANON191_1.jpg COVID-19 actmed", "actmed-ANON191", "ANON191_1.jpg", "actmed"),
        ("COVID 12 (3) COVID-12.png COVID-19 sirm", "sirm-COVID 12 (3)", "COVID-12.png", "sirm"),
        ("COVID 12 COVID-12.png COVID-19", "covidx-COVID 12", "COVID-12.png", "covidx"),
    ],
)
def test_a_line_of_every_version_is_understood(
    tmp_path: Path, line: str, patient: str | None, file: str, source: str
) -> None:
    record = listing(tmp_path, line, "31 b.png pneumonia").records[0]
    assert (record.patient_id, record.source) == (patient, source)
    assert record.name == (RSNA_ID if source == "rsna" else file)
    assert record.published_part == "train"
    assert not record.has_placeholder_id


def test_images_are_looked_for_in_the_folder_of_their_part(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.png").write_bytes(part.encode())
    found = listing(tmp_path, "1 a.png pneumonia", "2 a.png pneumonia").records
    assert [(record.published_part, record.read()) for record in found] == [("train", b"train"), ("test", b"test")]


def test_the_map_tells_rsnas_patients(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(f"rsna_patientId,nih_patient\n{RSNA_ID},00000007\n")
    assert listing(tmp_path, f"{RSNA_ID} {RSNA_ID}.png normal", "", "map.csv").records[0].patient_id == "nih-00000007"


def test_without_the_map_an_image_of_rsna_has_no_patient(tmp_path: Path) -> None:
    record = listing(tmp_path, f"{RSNA_ID} {RSNA_ID}.png normal rsna", "").records[0]
    columns = Ids("key", as_given=True).patient_columns(record)
    assert (columns["patient_id"], columns["patient_id_from"]) == (f"rsna/{RSNA_ID}", "none")


@pytest.mark.parametrize("source", ["rsna", "sirm"])
def test_a_placeholder_in_a_list_is_no_patient(tmp_path: Path, source: str) -> None:
    record = listing(tmp_path, f"unknown {RSNA_ID}.png normal {source}", "").records[0]
    assert (record.patient_id, record.has_placeholder_id) == (None, True)


def test_labels_outside_the_rules_are_passed_over_and_counted(tmp_path: Path) -> None:
    found = listing(tmp_path, "1 a.png negative cohen\n2 b.png pneumonia cohen\n\n", "3 c.png positive cohen")
    assert [record.name for record in found.records] == ["b.png"]
    assert found.passed_over == {"label negative": 1, "label positive": 1}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1 a.png flu", r"train\.txt, line 2: neither 'patient file label' nor"),
        ("pneumonia", r"line 2: .* is not the name of an image file|line 2: neither"),
        ("a.png pneumonia", r"line 2: 'a.png' is not the name of an image file"),
        ("1 ../../a.png pneumonia", r"line 2: file '\.\./\.\./a\.png' is refused"),
        ("1 /a.png pneumonia", r"line 2: file '/a\.png' is refused: an absolute path"),
        ("1 a pneumonia", r"line 2: 'a' is not the name of an image file"),
    ],
)
def test_what_is_no_line_is_named_with_its_number(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        listing(tmp_path, f"1 a.png pneumonia\n{line}\n", "")


def test_lists_without_known_labels_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the labels normal, pneumonia, COVID-19 \(found: label positive\)"):
        listing(tmp_path, "1 a.png positive", "")


def test_missing_or_damaged_lists_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.txt: no such list\. COVID-Net publishes the lists"):
        covidx_lists.records(tmp_path, PARTS, IMAGES, LABELS, None)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1 a.png pneumonia\n" * 1000)[:-20])
    with pytest.raises(DataError, match="not a readable text file"):
        covidx_lists.read_list(tmp_path / "cut.gz")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("coronet_table1_train_rows", (7966, 8521, 89)),
        ("coronet_table1_test_rows", (885, 1058, 10)),
        ("train_COVIDx_c4da4b0_2020-03-28", (7966, 8514, 66)),
        ("test_COVIDx_c4da4b0_2020-03-28", (100, 100, 10)),
        ("test_COVIDx_61a5963_2020-03-31", (100, 100, 10)),
        ("train_COVIDx2_46b4b00_2020-04-15", (7966, 5451, 152)),
        ("test_COVIDx2_46b4b00_2020-04-15", (100, 100, 31)),
        ("train_COVIDx5_f3ad51b_2020-10-24", (7966, 5475, 517)),
        ("test_COVIDx5_f3ad51b_2020-10-24", (885, 594, 100)),
    ],
)
def test_every_published_list_has_the_counts_of_its_file(shared: Path, name: str, counts: tuple[int, ...]) -> None:
    lines = covidx_lists.read_list(shared / "data/covidx/covidnet_lists" / f"{name}.txt.gz")
    found = Counter(line.label for line in lines)
    assert tuple(found[label] for label in LABELS) == counts
    assert sum(counts) == len(lines)
    sources = {line.source for line in lines}
    assert sources <= {"rsna", "covid-chestxray", "covidx", "actmed", "sirm", "fig1"}
