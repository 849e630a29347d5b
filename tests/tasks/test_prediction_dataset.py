"""Predictions on disk: whole parts, and nothing done twice."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from coronet_core.support.errors import DataError
from tasks.inference.input.image_file import ImageFile
from tasks.inference.output.resumable_dataset import PredictionDataset, read_summary
from tasks.package.prediction_schema import SCHEMA
from tests.tasks.damage import Damage, every_damage, spoil

SHARDS = [[ImageFile("a.png", "1", 10), ImageFile("b.png", "1", 10)], [ImageFile("c.png", "1", 10)]]
ANSWER = {"predicted": "healthy", "abstained": False, "out_of_distribution": True, "prediction_set": ["healthy"]}


def rows(*paths: str, **columns: object) -> pa.Table:
    return pa.Table.from_pylist([{"path": path, **columns} for path in paths], SCHEMA)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    folder = tmp_path / "predictions.parquet"
    dataset = PredictionDataset(folder, SHARDS, "model")
    dataset.keep(0, rows("a.png", "b.png", **ANSWER))
    dataset.keep(1, rows("c.png", error="empty file"))
    dataset.finish()
    return folder


def missing(folder: Path, shards: list[list[ImageFile]] = SHARDS, model: str = "model") -> list[int]:
    return PredictionDataset(folder, shards, model).missing()


def test_the_folder_reads_as_one_table_a_row_a_file(finished: Path) -> None:
    table = pd.read_parquet(finished)
    assert list(table["path"]) == ["a.png", "b.png", "c.png"]
    assert list(table["prediction_set"][0]) == ["healthy"]
    assert table["abstained"].isna().tolist() == [False, False, True]


def test_the_summary_counts_answers_and_reasons(finished: Path) -> None:
    found = read_summary(finished)
    assert found == {
        "files": 3,
        "predicted": 2,
        "abstained": 0,
        "out_of_distribution": 2,
        "errors": {"empty file": 1},
        "passed_over": {},
        "model": "model",
    }


def test_an_abstention_counts_as_a_prediction(tmp_path: Path) -> None:
    dataset = PredictionDataset(tmp_path / "predictions", SHARDS[:1], "model")
    dataset.keep(0, rows("a.png", "b.png", **ANSWER | {"abstained": True}))
    found = dataset.finish()
    assert (found["files"], found["predicted"], found["abstained"]) == (2, 2, 2)


def test_what_is_finished_is_not_done_again(finished: Path) -> None:
    assert missing(finished) == []


def test_there_is_no_summary_while_a_part_may_be_missing(finished: Path) -> None:
    PredictionDataset(finished, SHARDS, "model")
    assert not (finished / "_summary.json").exists()


def test_another_model_does_all_again_and_leaves_no_old_part(finished: Path) -> None:
    assert missing(finished, model="another") == [0, 1]
    assert list(finished.glob("part-*")) == []


def test_a_shard_is_done_again_when_one_of_its_files_has_changed(finished: Path) -> None:
    assert missing(finished, [SHARDS[0], [ImageFile("c.png", "2", 11)]]) == [1]


def test_a_shard_with_a_file_that_could_not_be_opened_is_tried_again(finished: Path) -> None:
    dataset = PredictionDataset(finished, SHARDS, "model")
    dataset.keep(1, rows("c.png", error="cannot be opened (Permission denied)"))
    assert dataset.missing() == [1]


@every_damage
def test_a_damaged_part_is_made_again_and_set_aside_until_all_are_there(
    finished: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    (damaged,) = finished.glob("part-00000-*")
    spoil(damaged, damage)
    dataset = PredictionDataset(finished, SHARDS, "model")
    assert dataset.missing() == [0]
    assert capsys.readouterr().err.count(f"warning: {damaged} is damaged") == 1
    assert list(pd.read_parquet(finished)["path"]) == ["c.png"]
    dataset.keep(0, rows("a.png", "b.png", **ANSWER))
    dataset.finish()
    assert list(pd.read_parquet(finished)["path"]) == ["a.png", "b.png", "c.png"]
    assert sorted(path.name[:10] for path in finished.iterdir()) == ["_summary.j", "part-00000", "part-00001"]


def test_a_part_that_is_made_again_replaces_the_former_one(finished: Path) -> None:
    dataset = PredictionDataset(finished, SHARDS, "model")
    dataset.keep(1, rows("c.png", **ANSWER))
    assert dataset.finish()["predicted"] == 3
    assert list(pd.read_parquet(finished)["path"]) == ["a.png", "b.png", "c.png"]


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"contains thesis\.tex, so it is not a folder of predictions"):
        PredictionDataset(tmp_path, SHARDS, "model")
    assert (tmp_path / "thesis.tex").is_file()


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "predictions.parquet"
    file.write_bytes(b"one table")
    with pytest.raises(DataError, match="Predictions are written to a folder"):
        PredictionDataset(file, SHARDS, "model")
