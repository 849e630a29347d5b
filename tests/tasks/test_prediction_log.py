"""The log of predictions: what is in it, what is not, and how it is read."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from coronet_core.support.errors import DataError
from tasks.calibrate.calibration_file import SCORES
from tasks.drift.prediction_window import DAMAGED, OTHER_MODEL, REPEATED, Span, read_window
from tasks.inference.prediction_log import PredictionLog
from tasks.package.prediction_schema import SCHEMA

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
ALWAYS = Span()


def rows(*images: str, **columns: Any) -> pa.Table:
    """Rows of answered files with these contents' hashes."""
    answer = dict.fromkeys(SCORES, 0.25) | {"ood_score": 1.0, "abstained": False, "out_of_distribution": False}
    told = [{"path": f"/ward/Doe, Jane/{image}.dcm", "sha256": image} | answer | columns for image in images]
    return pa.Table.from_pylist(told, SCHEMA)


def logged(folder: Path, *images: str, at: datetime = NOON, model: str = "model", **columns: Any) -> None:
    PredictionLog(folder, now=lambda: at).append(rows(*images, **columns), model)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_a_line_holds_scores_and_a_keyed_hash_and_nothing_of_the_file_s_name(tmp_path: Path) -> None:
    logged(tmp_path, "a1b2")
    (line,) = lines_of(tmp_path)
    kept = {"time", "model", "image", *SCORES, "ood_score", "abstained", "out_of_distribution"}
    assert set(line) == kept
    text = next(tmp_path.iterdir()).read_text()
    assert "Doe" not in text
    assert "a1b2" not in text


def test_another_key_gives_other_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(tmp_path, "a")
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "of the hospital")
    logged(tmp_path, "a")
    first, second = lines_of(tmp_path)
    assert first["image"] != second["image"]


def test_files_without_an_answer_are_not_logged(tmp_path: Path) -> None:
    logged(tmp_path / "log", "a", error="not an image")
    assert not (tmp_path / "log").exists()


def test_each_day_has_its_files_and_each_writer_its_own(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, now=iter([NOON, NOON, NOON + timedelta(days=1)]).__next__)
    for image in "abc":
        log.append(rows(image), "model")
    logged(tmp_path, "d")
    assert sorted(path.name[:10] for path in tmp_path.iterdir()) == ["2026-03-14", "2026-03-14", "2026-03-15"]


def test_the_log_is_for_its_owner_alone(tmp_path: Path) -> None:
    logged(tmp_path, "a")
    assert next(tmp_path.iterdir()).stat().st_mode & 0o777 == 0o600


def test_threads_of_one_writer_do_not_mix_their_lines(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log.append(rows(*(f"{i}-{n}" for n in range(20))), "model"), range(16)))
    window = read_window(tmp_path, "model", ALWAYS)
    assert window.images == 320
    assert not window.passed_over


def test_an_image_that_came_again_counts_once_with_its_last_answer(tmp_path: Path) -> None:
    logged(tmp_path, "a", "b", at=NOON + timedelta(hours=1), abstained=True)
    logged(tmp_path, "a", at=NOON)
    window = read_window(tmp_path, "model", ALWAYS)
    assert (window.images, window.abstained, window.passed_over[REPEATED]) == (2, 2, 1)


def test_lines_of_other_models_and_torn_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    logged(tmp_path, "a")
    logged(tmp_path, "b", model="other")
    with next(tmp_path.iterdir()).open("a") as file:
        file.write('{"time": "2026-03-14T12:00:00+00:00", "model": "model", "ima')
    logged(tmp_path, "c", residual_both=float("nan"))
    window = read_window(tmp_path, "model", ALWAYS)
    assert window.images == 1
    assert window.passed_over == {OTHER_MODEL: 1, DAMAGED: 2}


@pytest.mark.parametrize(
    "line", ["[]", "7", '"text"', "null", '{"time": 3}', '{"time": "2026-03-14T12:00:00"}', "\\xff"]
)
def test_what_is_no_line_of_a_log_is_damaged(tmp_path: Path, line: str) -> None:
    logged(tmp_path, "a")
    with next(tmp_path.iterdir()).open("a") as file:
        file.write(f"{line}\n")
    assert read_window(tmp_path, "model", ALWAYS).passed_over == {DAMAGED: 1}


@pytest.mark.parametrize(
    ("since", "until", "images"),
    [
        (None, None, 3),
        ("2026-03-14", None, 2),
        (None, "2026-03-14", 2),
        ("2026-03-14", "2026-03-14", 1),
        ("2026-03-14T13:00", None, 1),
        ("2026-03-14T12:00+01:00", "2026-03-14T12:30", 1),
    ],
)
def test_a_span_holds_whole_days_and_times(tmp_path: Path, since: str | None, until: str | None, images: int) -> None:
    for image, days in (("a", -1), ("b", 0), ("c", 1)):
        logged(tmp_path, image, at=NOON + timedelta(days=days))
    assert read_window(tmp_path, "model", Span.from_text(since, until)).images == images


@pytest.mark.parametrize(("since", "until"), [("yesterday", None), (None, "14.3.2026"), ("2026-03-15", "2026-03-14")])
def test_a_span_of_no_time_is_refused(since: str | None, until: str | None) -> None:
    with pytest.raises(DataError, match=r"since = |until = "):
        Span.from_text(since, until)


def test_a_folder_without_a_log_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no log of predictions\. `coronet predict --log"):
        read_window(tmp_path / "nowhere", "model", ALWAYS)
