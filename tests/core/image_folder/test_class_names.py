"""Which class a folder or a label names."""

from pathlib import Path

import pytest

from coronet_core.data.class_names import ALIASES, is_denial
from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError
from tests.core.image_folder.class_folders import records, write_csv


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


@pytest.mark.parametrize(
    "name",
    [
        "non-covid",
        "NonCOVID",
        "not_covid",
        "no COVID-19 images",
        "no SARS-CoV-2",
        "not pneumonia",
        "not normal",
        "No Lung Opacity",
        "no signs of infection",
        "negative",
        "COVID-19 negative",
    ],
)
def test_a_folder_that_says_what_it_is_not_is_no_part_of_the_class_around_it(folder: Path, name: str) -> None:
    (folder / "covid19" / name).mkdir()
    (folder / "covid19" / "P0_covid19.png").rename(folder / "covid19" / name / "a.png")
    with pytest.raises(DataError, match=f"{name}' is a negation") as caught:
        records(folder, None, None)
    assert "Did you mean" not in str(caught.value)


def test_what_denies_an_alias_of_the_params_or_a_finding_that_is_none_is_a_negation_too() -> None:
    assert is_denial("no TBC", {"tbc": "pneumonia"})
    assert not is_denial("no TBC", {})
    assert is_denial("no finding", {})


@pytest.mark.parametrize(
    "name", ["No. 5", "No_12", "no-name", "No.", "not readable", "non-contrast", "Nobel", "Norm 3"]
)
def test_a_folder_whose_name_denies_no_class_says_nothing(folder: Path, name: str) -> None:
    (folder / "covid19" / name).mkdir()
    (folder / "covid19" / "P0_covid19.png").rename(folder / "covid19" / name / "a.png")
    assert [r.label for r in records(folder, None, None) if r.name.endswith("/a.png")] == ["covid19"]
    (folder / "covid19").rename(folder / "others")
    with pytest.raises(DataError, match="no class folder above it"):
        records(folder, None, None)
