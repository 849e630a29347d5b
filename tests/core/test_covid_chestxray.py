"""Cohen's metadata, in every layout of 2020."""

from pathlib import Path

import pytest

from coronet_core.data.image_record import Listing
from coronet_core.data.sources import covid_chestxray
from coronet_core.support.errors import DataError

FINDINGS = {"COVID-19": "covid19", "COVID-19, ARDS": "covid19", "SARS": "pneumonia", "Streptococcus": "pneumonia"}
MARCH = "Patientid,offset,sex,age,finding,survival,view,modality,date,filename, url,license,clinical notes"
FEBRUARY = "Patientid,sex,age,finding,view,filename, url"
JUNE = "patientid,offset,sex,age,finding,survival,intubated,view,modality,date,folder,filename,url,license"
SEPTEMBER = "patientid,offset,sex,age,finding,RT_PCR_positive,survival,view,modality,folder,filename,license"


def listing(folder: Path, header: str, *rows: dict[str, str], views: tuple[str, ...] = ("PA",)) -> Listing:
    columns = header.split(",")
    lines = [",".join(f'"{row.get(column, "")}"' for column in columns) for row in rows]
    (folder / "metadata.csv").write_text("\n".join([header, *lines]) + "\n")
    return covid_chestxray.records(folder, "metadata.csv", "images", views, ("X-ray",), FINDINGS)


@pytest.mark.parametrize(
    ("header", "finding"),
    [
        (FEBRUARY, "COVID-19"),
        (MARCH, "COVID-19"),
        (JUNE, "COVID-19"),
        (SEPTEMBER, "Pneumonia/Viral/COVID-19"),
        (JUNE, "COVID-19, ARDS"),
    ],
)
def test_every_layout_gives_the_same_record(tmp_path: Path, header: str, finding: str) -> None:
    row = {"finding": finding, "view": "PA", "modality": "X-ray", "filename": "a.png", "sex": "F", "age": "61"}
    (record,) = listing(
        tmp_path, header, row | {"Patientid": "7", "patientid": "7", "license": "CC BY", "folder": "images"}
    ).records
    assert (record.patient_id, record.label, record.view, record.sex, record.age) == (
        "cohen-7",
        "covid19",
        "PA",
        "F",
        61,
    )
    assert (record.source, record.name) == ("covid-chestxray", "a.png")
    assert record.licence == ("CC BY" if "license" in header else None)


def test_what_the_rules_leave_out_is_counted_by_reason(tmp_path: Path) -> None:
    sound = {"finding": "SARS", "view": "PA", "modality": "X-ray", "filename": "a.png"}
    found = listing(
        tmp_path,
        MARCH,
        sound,
        sound | {"modality": "CT", "view": "Axial"},
        sound | {"view": "PA "} | {"filename": "b.png"},
        sound | {"view": "AP Supine"},
        sound | {"finding": "Pneumocystis"},
        sound | {"finding": ""},
    )
    assert [record.name for record in found.records] == ["a.png", "b.png"]
    assert found.passed_over == {
        "modality CT": 1,
        "projection AP Supine": 1,
        "finding Pneumocystis": 1,
        "finding unknown": 1,
    }


def test_ages_that_are_no_numbers_are_unknown(tmp_path: Path) -> None:
    rows = [
        {"finding": "SARS", "view": "PA", "modality": "X-ray", "filename": f"{age}.png", "age": age}
        for age in ("", "50s")
    ]
    assert [record.age for record in listing(tmp_path, MARCH, *rows).records] == [None, None]


def test_a_missing_image_is_found_out_when_it_is_read(tmp_path: Path) -> None:
    (record,) = listing(
        tmp_path, MARCH, {"finding": "SARS", "view": "PA", "modality": "X-ray", "filename": "a.png"}
    ).records
    assert record.version == "missing"
    with pytest.raises(FileNotFoundError):
        record.read()


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.png"])
def test_a_file_outside_the_folder_is_an_error(tmp_path: Path, name: str) -> None:
    row = {"finding": "SARS", "view": "PA", "modality": "X-ray", "filename": name}
    with pytest.raises(DataError, match=r"metadata\.csv: file .* is refused"):
        listing(tmp_path, MARCH, row)


def test_rules_that_nothing_follows_are_an_error(tmp_path: Path) -> None:
    row = {"finding": "SARS", "view": "AP", "modality": "X-ray", "filename": "a.png"}
    with pytest.raises(
        DataError, match=r"none of its 1 rows matches the modalities X-ray, the projections PA and.*Correct these rules"
    ):
        listing(tmp_path, MARCH, row)


def test_a_foreign_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column patientid or finding or view or filename \(found: name, dose\)"):
        listing(tmp_path, "name,dose", {})


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no such table\. Fetch the collection with `coronet data fetch covid-chestxray`"
    ):
        covid_chestxray.records(tmp_path, "metadata.csv", "images", ("PA",), ("X-ray",), FINDINGS)


@pytest.mark.parametrize(("day", "n_covid19"), [("2020-03-29", 99), ("2020-06-22", 206)])
def test_the_real_tables_are_read(shared: Path, day: str, n_covid19: int) -> None:
    folder = shared / "data/covidx/covid-chestxray"
    rules = {"COVID-19": "covid19", "SARS": "pneumonia"}
    found = covid_chestxray.records(folder, f"metadata_{day}.csv", "images", ("PA",), ("X-ray",), rules)
    assert sum(record.label == "covid19" for record in found.records) == n_covid19
