"""Verdicts of readers that the service appends to a table."""

import csv
import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from filelock import FileLock

from coronet_core.support.errors import DataError
from serving.verdicts.reader_verdict import COLUMNS, ReaderVerdict
from serving.verdicts.verdict_table import VerdictTable
from tests.serving.served import problem, running

VERDICT: dict[str, Any] = {
    "file": "chest.png",
    "sha256": "a" * 64,
    "label": "covid19",
    "reader": "AB",
    "note": "",
    "model": "b" * 64,
    "predicted": "pneumonia",
    "probability": 0.71234,
    "prediction_set": ["pneumonia", "covid19"],
    "out_of_distribution": True,
    "blinded": True,
    "challenger": "c" * 64,
    "challenger_predicted": "healthy",
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verdicts") / "read" / "verdicts.csv"


@pytest.fixture(scope="module")
def reading(table: Path) -> Iterator[httpx.Client]:
    with running(verdicts=table) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_verdict_is_a_row_with_its_time_and_what_the_model_said(reading: httpx.Client, table: Path) -> None:
    stored = reading.post("/verdicts", json=VERDICT)
    assert stored.status_code == 200, stored.text
    row = rows(table)[-1]
    assert tuple(row) == COLUMNS
    assert row["read_at"] == stored.json()["read_at"]
    assert abs(datetime.fromisoformat(row["read_at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert row == {
        **VERDICT,
        "read_at": row["read_at"],
        "probability": "0.7123",
        "prediction_set": "pneumonia covid19",
        "out_of_distribution": "true",
        "blinded": "true",
    }


def test_a_changed_verdict_is_added_and_the_former_one_kept(reading: httpx.Client, table: Path) -> None:
    before = table.read_bytes()
    for label in ("healthy", "not_readable"):
        reading.post("/verdicts", json=VERDICT | {"label": label})
    assert table.read_bytes().startswith(before)
    assert [row["label"] for row in rows(table)[-2:]] == ["healthy", "not_readable"]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "＝"])
def test_no_cell_is_a_formula_of_a_spreadsheet(reading: httpx.Client, table: Path, begin: str) -> None:
    text = f"{begin}cmd|' /C calc'!A0"
    assert reading.post("/verdicts", json=VERDICT | {"file": text, "reader": text, "note": text}).status_code == 200
    row = rows(table)[-1]
    assert (row["file"], row["reader"], row["note"]) == (f"./{text}", f"'{text}", f"'{text}")


def test_a_note_is_one_line_whatever_is_in_it(reading: httpx.Client, table: Path) -> None:
    lines = table.read_text().count("\n")
    reading.post("/verdicts", json=VERDICT | {"note": 'left, "basal"\r\n\topacity\u202e \x00\x1b[31m'})
    assert rows(table)[-1]["note"] == 'left, "basal" opacity [31m'
    assert table.read_text().count("\n") == lines + 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"label": "flu"}, "label"),
        ({"sha256": "a" * 63}, "sha256"),
        ({"file": "../chest.png"}, "file"),
        ({"file": ""}, "file"),
        ({"probability": 1.5}, "probability"),
        ({"note": "x" * 1001}, "note"),
        ({"patient": "Doe"}, "patient"),
    ],
)
def test_what_is_no_verdict_is_refused_and_not_stored(
    reading: httpx.Client, table: Path, change: dict[str, Any], named: str
) -> None:
    before = table.read_bytes()
    assert named in problem(reading.post("/verdicts", json=VERDICT | change), 422)
    assert table.read_bytes() == before


def test_a_body_that_is_no_json_or_too_large_is_refused(tmp_path: Path) -> None:
    with running(verdicts=tmp_path / "verdicts.csv", upload_mib=0.001) as address:
        problem(httpx.post(f"{address}/verdicts", content=b"file,label"), 415)
        problem(httpx.post(f"{address}/verdicts", json=VERDICT | {"note": "x" * 2000}), 413)


def test_without_a_table_nothing_is_stored_and_the_model_says_so(client: httpx.Client, reading: httpx.Client) -> None:
    problem(client.post("/verdicts", json=VERDICT), 404)
    assert client.get("/model").json()["stores_verdicts"] is False
    assert reading.get("/model").json()["stores_verdicts"] is True


def test_services_that_share_a_table_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    tables = [VerdictTable(path) for _ in range(4)]
    verdicts = [ReaderVerdict.model_validate(VERDICT | {"note": str(number)}) for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda pair: tables[pair[0] % 4].append(pair[1]), enumerate(verdicts)))
    assert sorted(int(row["note"]) for row in rows(path)) == list(range(40))


def test_a_table_that_another_service_does_not_let_go_is_an_error_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.verdicts.verdict_table.LOCK_S", 0.1)
    table = VerdictTable(tmp_path / "verdicts.csv")
    with FileLock(tmp_path / ".verdicts.csv.lock"), pytest.raises(OSError, match="lock"):
        table.append(ReaderVerdict.model_validate(VERDICT))
    assert rows(tmp_path / "verdicts.csv") == []


def test_a_new_table_is_for_its_owner_and_one_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    table = VerdictTable(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    table.append(ReaderVerdict.model_validate(VERDICT))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_table_that_was_written_by_hand_at_its_end_is_continued_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    VerdictTable(path)
    path.write_text(path.read_text() + "by_hand.png,healthy", encoding="utf-8")
    VerdictTable(path).append(ReaderVerdict.model_validate(VERDICT))
    assert [row["file"] for row in rows(path)] == ["by_hand.png", "chest.png"]


def test_a_file_of_another_kind_is_refused_at_the_start_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,label\na.png,healthy\n")
    with pytest.raises(DataError, match=r"labels\.csv: not a table of verdicts .* Give another file"):
        VerdictTable(path)
    assert path.read_text() == "file,label\na.png,healthy\n"
    with pytest.raises(DataError, match=r"cannot be written .*Give another file"):
        VerdictTable(path / "verdicts.csv")


def test_a_table_that_cannot_be_continued_is_a_problem_for_the_client_and_a_line_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "verdicts.csv"
    with running(verdicts=path) as address:
        path.write_text("file;label\n")
        detail = problem(httpx.post(f"{address}/verdicts", json=VERDICT), 500)
    assert "The verdict was not stored" in detail
    assert str(tmp_path) not in detail
    errors = [json.loads(line) for line in capfd.readouterr().out.splitlines() if '"error"' in line]
    assert any("not a table of verdicts" in line["error"] for line in errors)
    assert path.read_text() == "file;label\n"
