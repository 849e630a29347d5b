"""Tables of readers' verdicts as labels of a folder."""

from pathlib import Path

import pytest

from coronet_core.data.image_record import Listing
from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import sha256_of
from tests.core.image_folder.class_folders import write_csv

HEADER = "file,label,reader,note,read_at,sha256,model"
FIRST, SECOND = "healthy/P0_healthy.png", "pneumonia/P1_pneumonia.png"


@pytest.fixture(autouse=True)
def no_copies(folder: Path) -> None:
    """Let no two images have the same content."""
    for number, path in enumerate(folder.rglob("*.png")):
        path.write_bytes(path.read_bytes() + bytes([number]))


def verdict(
    folder: Path, file: str, label: str, reader: str = "AB", minute: int = 0, name: str | None = None, when: str = ""
) -> str:
    read_at = when or f"2026-05-31T14:{minute:02d}:00+00:00"
    return f"{name or Path(file).name},{label},{reader},,{read_at},{sha256_of(folder / file)},abc"


def listed(folder: Path, *rows: str) -> Listing:
    write_csv(folder, HEADER, *rows)
    return image_folder.records(folder.parent, "xray", "labels.csv", None)


def labels(listing: Listing) -> dict[str, str]:
    return {record.name.removeprefix("xray/"): record.label for record in listing.records}


def test_a_verdict_is_the_label_whatever_folder_and_name_the_image_has(folder: Path) -> None:
    rows = [verdict(folder, FIRST, "covid19", name="./=renamed.png"), verdict(folder, SECOND, "healthy")]
    listing = listed(folder, *rows)
    assert labels(listing) == {FIRST: "covid19", SECOND: "healthy"}
    assert listing.passed_over == {image_folder.NOT_LISTED: 4}


def test_of_a_reader_the_last_verdict_counts_wherever_it_stands_in_the_table(folder: Path) -> None:
    later = verdict(folder, FIRST, "covid19", reader="ab", when="2026-05-31T15:30:00+02:00")  # 13:30 UTC
    latest = verdict(folder, FIRST, "pneumonia", minute=1)
    assert labels(listed(folder, latest, later, verdict(folder, FIRST, "healthy", when="2026-05-01"))) == {
        FIRST: "pneumonia"
    }


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("covid19", "readers disagree on its class"),
        ("not_readable", "called not readable by a reader"),
        ("Not readable", "called not readable by a reader"),
    ],
)
def test_an_image_that_readers_do_not_agree_on_is_left_out_and_counted(folder: Path, second: str, reason: str) -> None:
    rows = [verdict(folder, FIRST, "healthy"), verdict(folder, FIRST, second, reader="CD")]
    listing = listed(folder, *rows, verdict(folder, SECOND, "pneumonia"))
    assert labels(listing) == {SECOND: "pneumonia"}
    assert listing.passed_over == {reason: 1, image_folder.NOT_LISTED: 4}


def test_readers_who_agree_are_one_label(folder: Path) -> None:
    rows = [verdict(folder, FIRST, "covid19"), verdict(folder, FIRST, "COVID-19", reader="CD", minute=5)]
    assert labels(listed(folder, *rows)) == {FIRST: "covid19"}


def test_of_several_copies_the_one_of_the_name_that_was_read_has_the_label(folder: Path) -> None:
    (folder / "covid19/copy.png").write_bytes((folder / FIRST).read_bytes())
    assert labels(listed(folder, verdict(folder, FIRST, "covid19"))) == {FIRST: "covid19"}
    assert labels(listed(folder, verdict(folder, FIRST, "covid19", name="copy.png"))) == {"covid19/copy.png": "covid19"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("healthy,AB", "flu,AB"), r"the label 'flu'; a class is one of"),
        (("healthy,AB", ",AB"), r"the verdict on P0_healthy\.png has no label"),
        (("2026-05-31T14:00:00+00:00", "31.05.26"), r"read_at '31\.05\.26' of P0_healthy\.png is not a time such as"),
        ((",abc", "x,abc"), r"the verdict on P0_healthy\.png has no SHA-256"),
    ],
)
def test_faults_are_named_with_a_remedy(folder: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        listed(folder, verdict(folder, FIRST, "healthy").replace(*change))


def test_an_image_that_was_changed_since_is_not_the_one_that_was_read(folder: Path) -> None:
    row = verdict(folder, FIRST, "healthy")
    (folder / FIRST).write_bytes((folder / SECOND).read_bytes())
    with pytest.raises(DataError, match=r"verdicts on images that are not in .*xray: P0_healthy\.png\. Put the files"):
        listed(folder, row)


def test_a_table_of_labels_with_other_columns_is_none_of_verdicts(folder: Path) -> None:
    write_csv(folder, "file,label,sha256,reader", f"{FIRST},covid19,,AB")
    assert labels(image_folder.records(folder.parent, "xray", "labels.csv", None)) == {FIRST: "covid19"}
