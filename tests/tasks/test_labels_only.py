"""COVIDx from its real label files: Table 1 exactly, and what is wrong with it."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coronet_core.common.literals import Leaks
from coronet_core.data.sources.covidx_lists import read_list
from coronet_core.data.sources.label_tables import read_table
from coronet_core.support.errors import DataError, ParamsError
from tasks.build_split.labels_only import build
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import ByPart, CovidChestXraySource, CovidxListsSource, SplitByPublishedList
from tasks.runtime.params.schema import Params
from tests.conftest import PARAMS, PROJECT


@pytest.fixture(scope="module")
def raw(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The label files where the presets look for them; no images."""
    root, covidx = tmp_path_factory.mktemp("raw"), shared / "data/covidx"
    for name in ("covid-chestxray", "rsna", "covidnet"):
        (root / name).mkdir()
    shutil.copy(covidx / "covid-chestxray/metadata_2020-03-29.csv", root / "covid-chestxray/metadata.csv")
    for path in [*(covidx / "rsna").glob("*.gz"), *(covidx / "covidnet_lists").glob("*.gz")]:
        folder = root / ("rsna" if path.parent.name == "rsna" else "covidnet")
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    for path in (covidx / "covidnet_lists").glob("rsna_test_patients_*.txt"):
        shutil.copy(path, root / "covidnet")
    shutil.copy(root / "rsna/rsna_to_nih.csv", root / "covidnet")
    return root


def preset(name: str, raw: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Params:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "of the hospital")
    params = read_params(PROJECT / "params" / f"{name}.yaml")
    return replace(params, data=replace(params.data, root=str(raw), **changes))


def test_the_papers_preset_is_table_1(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = build(preset("paper", raw, monkeypatch), tmp_path)
    assert report["table_1"] == {
        "train": {"healthy": 7966, "pneumonia": 8521, "covid19": 89},
        "test": {"healthy": 885, "pneumonia": 1058, "covid19": 10},
    }
    assert "exactly the paper's Table 1" in capsys.readouterr().out
    assert report["duplicates"]["kept"] == 3543
    assert report["leaks"]["by_class"] == {"healthy": 306, "pneumonia": 321, "covid19": 0}
    assert report["patients_in_two_splits"] == len(report["leaks"]["patient_ids"]) == 687
    assert any("687 patients are in more than one split" in sentence for sentence in report["warnings"])
    assert any("From the source alone, COVID-19 (ROC-AUC 1.00) can be" in sentence for sentence in report["warnings"])


@pytest.mark.slow
def test_without_duplicates_5442_and_594_images_of_pneumonia_are_left(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = build(preset("paper", raw, monkeypatch, duplicates="drop"), tmp_path)
    assert report["table_1"]["train"]["pneumonia"] == 5442
    assert report["table_1"]["test"]["pneumonia"] == 594
    assert report["rejected"] == {"duplicate": 3543}


@pytest.mark.slow
def test_the_audit_names_the_leaked_patients(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = build(preset("paper", raw, monkeypatch, ids="as_given"), tmp_path)
    leaked = report["leaks"]["patient_ids_by_class"]["pneumonia"]
    patient_of = {
        r["rsna_patientid"]: r["nih_patient"] for r in read_table(raw / "rsna/rsna_to_nih.csv", [], remedy="")
    }
    parts = [
        {
            patient_of.get(line.patient)
            for line in read_list(raw / f"covidnet/coronet_table1_{part}_rows.txt")
            if line.label == "pneumonia"
        }
        for part in ("train", "test")
    ]
    assert leaked == sorted(f"nih-{patient}" for patient in parts[0] & parts[1] if patient is not None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["covidx_2020-03-28", "covidx_2020-04-15"])
def test_the_honest_presets_leak_nobody(name: str, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = build(preset(name, raw, monkeypatch), tmp_path)
    manifest = pd.read_parquet(tmp_path / "manifest.parquet")
    assert report["patients_in_two_splits"] == 0
    assigned = manifest.dropna(subset=["split"])[["patient_id", "split"]].drop_duplicates()
    assert not assigned["patient_id"].duplicated().any()
    assert report["images"]["test"]["covid19"] > 5
    assert report["duplicates"]["bytes"] == 0


def test_the_rules_of_2020_04_15_are_those_of_the_list_of_that_day(
    raw: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = preset("covidx_2020-04-15", raw, monkeypatch).data.sources[0]
    assert isinstance(source, CovidChestXraySource)
    labels = {"healthy": "normal", "pneumonia": "pneumonia", "covid19": "COVID-19"}
    rows = read_table(shared / "data/covidx/covid-chestxray/metadata_2020-03-29.csv", [], remedy="")
    listed = {
        line.file: line.label
        for part in ("train", "test")
        for line in read_list(next((raw / "covidnet").glob(f"{part}_COVIDx2*")))
    }
    checked = 0
    for row in rows:
        if row["filename"] in listed:
            assert row["view"] in source.views
            assert labels[source.findings[row["finding"]]] == listed[row["filename"]]
            checked += 1
    assert checked > 100


def published(raw: Path, monkeypatch: pytest.MonkeyPatch, leaks: Leaks, **names: str) -> Params:
    source = CovidxListsSource(
        kind="covidx_lists",
        folder="covidnet",
        lists=ByPart(**names),
        images=ByPart(train="train", test="test"),
        labels={"normal": "healthy", "pneumonia": "pneumonia", "COVID-19": "covid19"},
        nih_map_csv="rsna_to_nih.csv",
    )
    split = SplitByPublishedList(by="published_list", leaks=leaks, validation_fraction=0.1)
    return preset("paper", raw, monkeypatch, sources=[source], split=split, ids="as_given")


TABLE_1_LISTS = {"train": "coronet_table1_train_rows.txt", "test": "coronet_table1_test_rows.txt"}


@pytest.mark.slow
def test_the_published_list_as_it_is_gives_table_1_and_is_refused_if_leaks_are(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = build(published(raw, monkeypatch, Leaks.KEEP, **TABLE_1_LISTS), tmp_path)
    assert report["table_1"]["train"] == {"healthy": 7966, "pneumonia": 8521, "covid19": 89}
    with pytest.raises(DataError, match=r"687 patients both in its training and in its test part \(nih-"):
        build(published(raw, monkeypatch, Leaks.REFUSE, **TABLE_1_LISTS), tmp_path)


@pytest.mark.slow
def test_a_repaired_list_keeps_its_test_part_and_leaks_nobody(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = build(published(raw, monkeypatch, Leaks.REPAIR, **TABLE_1_LISTS), tmp_path)
    assert report["table_1"]["test"] == {"healthy": 885, "pneumonia": 1058, "covid19": 10}
    assert report["patients_in_two_splits"] == 0
    assert report["rejected"]["leak: its patient is in the published test part"] > 687


@pytest.mark.parametrize(
    "planted",
    ["ANON191 p.png COVID-19 actmed", "ANON191 x p.png COVID-19 actmed"],
    ids=["plain", "with a blank"],
)
def test_a_planted_patient_in_both_parts_is_caught(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    for part in ("train", "test"):
        lines = planted_free(raw, part)
        (raw / "covidnet" / f"planted_{part}.txt").write_text(
            "\n".join([*lines, planted.replace("p.png", f"{part}.png")])
        )
    lists = {"train": "planted_train.txt", "test": "planted_test.txt"}
    patient = planted.removesuffix(" p.png COVID-19 actmed")
    with pytest.raises(DataError, match=rf"1 patient both .* \(actmed-{patient}\)"):
        build(published(raw, monkeypatch, Leaks.REFUSE, **lists), tmp_path)


def planted_free(raw: Path, part: str) -> list[str]:
    """A part of COVIDx 5 of which no patient is in the other: Cohen's odd ids to train, the others to test."""
    lines = (raw / "covidnet" / f"{part}_COVIDx5_f3ad51b_2020-10-24.txt").read_text().splitlines()
    wanted = [
        line for line in lines if line.endswith("cohen") and int(line.split()[0].strip("abc")) % 2 == (part == "train")
    ]
    normal = [f"{part}{i} {part}{i}.png normal other" for i in range(10)]
    return [*wanted, *normal, *[f"{part}{i} {part}c{i}.png COVID-19 other" for i in range(20, 30)]]


def test_the_phantom_has_no_labels_to_build_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    with pytest.raises(ParamsError, match="the phantom has no label files"):
        build(read_params(PARAMS), tmp_path)


def test_a_preset_for_real_x_rays_wants_a_key_of_ones_own(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = preset("covidx_2020-03-28", raw, monkeypatch)
    monkeypatch.delenv("CORONET_PSEUDONYM_KEY")
    with pytest.raises(ParamsError, match="CORONET_PSEUDONYM_KEY is not set"):
        build(params, tmp_path)
    assert list(tmp_path.iterdir()) == []
