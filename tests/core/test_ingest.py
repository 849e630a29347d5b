"""Reading a data set into shards and manifest rows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coronet_core.data.aspect import Aspect
from coronet_core.data.ids import Ids
from coronet_core.data.ingest import places_in_stack, read_images, write_accepted
from coronet_core.data.manifest import as_table, previous_splits, read_manifest, write_manifest
from coronet_core.data.record import Record
from coronet_core.data.sources import phantom
from coronet_core.errors import DataError
from coronet_core.shards import Shards

IDS = Ids("key")


def unreadable() -> bytes:
    raise OSError(13, "Permission denied")


@pytest.fixture
def data_set() -> list[Record]:
    return phantom.records({"healthy": 4, "pneumonia": 2, "covid19": 2}, 1, 64, seed=3).records


def read(records: list[Record], folder: Path, block_images: int = 3, ids: Ids = IDS) -> pd.DataFrame:
    return read_images(records, 64, Aspect.STRETCH, block_images, ids, folder / "decoded", folder / "blocks")


def test_rows_lead_to_the_pixels_of_their_image(data_set: list[Record], tmp_path: Path) -> None:
    data_set[1] = replace(data_set[1], read=unreadable)  # a gap, so that rows and records no longer go in step
    manifest = read(data_set, tmp_path).assign(split="train")
    places = places_in_stack(manifest)
    manifest.loc[5, "rejected_because"] = "duplicate"  # a gap that only the rules for duplicates make
    decoded = Shards.in_folder(tmp_path / "decoded")
    write_accepted(manifest, places, decoded, 4, tmp_path / "images")
    write_manifest(manifest, tmp_path / "manifest.parquet")
    accepted = read_manifest(tmp_path / "manifest.parquet")
    stack = Shards.in_folder(tmp_path / "images")
    assert len(stack) == len(accepted) == len(data_set) - 2
    for place, record in enumerate([data_set[0], *data_set[2:5], *data_set[6:]]):
        alone = Shards.in_folder(read_alone(record, tmp_path / record.name)).take(np.array([0]))
        np.testing.assert_array_equal(stack.take(np.array([place])), alone)
        assert accepted["image_id"][place] == IDS.image(record)


def read_alone(record: Record, folder: Path) -> Path:
    read([record], folder, 1)
    return folder / "decoded"


def test_what_cannot_be_read_is_a_row_with_its_reason(data_set: list[Record], tmp_path: Path) -> None:
    data_set[0] = replace(data_set[0], read=unreadable)
    data_set[1] = replace(data_set[1], read=lambda: b"not an image")
    rows = read(data_set, tmp_path)
    assert rows["rejected_because"].tolist()[:2] == ["cannot be opened (Permission denied)", "not an image"]
    assert rows["rejected_because"].isna().tolist() == [False, False] + [True] * 6
    assert rows["sha256"].isna().tolist() == [True, True] + [False] * 6


def test_a_block_without_readable_images_is_no_obstacle(data_set: list[Record], tmp_path: Path) -> None:
    data_set[:3] = [replace(record, read=unreadable) for record in data_set[:3]]
    rows = read(data_set, tmp_path)
    assert len(Shards.in_folder(tmp_path / "decoded")) == rows["rejected_because"].isna().sum() == 5


def test_places_are_right_behind_a_block_without_readable_images(data_set: list[Record], tmp_path: Path) -> None:
    data_set[:3] = [replace(record, read=unreadable) for record in data_set[:3]]
    rows = read(data_set, tmp_path)
    assert places_in_stack(rows).tolist() == [-1, -1, -1, 0, 1, 2, 3, 4]


def test_blocks_that_are_finished_are_not_read_again(data_set: list[Record], tmp_path: Path) -> None:
    first = read(data_set, tmp_path)
    again = read([replace(record, read=unreadable) for record in data_set], tmp_path)
    pd.testing.assert_frame_equal(again, first)


def test_every_image_is_counted_once(data_set: list[Record], tmp_path: Path) -> None:
    counted: list[int] = []
    arguments = (data_set, 64, Aspect.STRETCH, 3, IDS, tmp_path / "decoded", tmp_path / "blocks", counted.append)
    for _ in range(2):
        counted.clear()
        read_images(*arguments)
        assert sum(counted) == len(data_set)


def test_no_more_images_are_decoded_than_are_waited_for(
    data_set: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coronet_core.data.ingest.usable_cores", lambda: 1)
    started = [0]

    def counting(read: Callable[[], bytes]) -> Callable[[], bytes]:
        def count() -> bytes:
            started[0] += 1
            return read()

        return count

    ahead: list[int] = []
    done = [0]

    def on_image(n: int) -> None:
        done[0] += n
        ahead.append(started[0] - done[0])

    many = [replace(r, read=counting(r.read), name=f"{r.name}/{i}") for i in range(8) for r in data_set]
    read_images(many, 64, Aspect.STRETCH, 64, IDS, tmp_path / "decoded", tmp_path / "blocks", on_image)
    assert max(ahead) <= 5


def test_patients_and_images_are_keyed_hashes(data_set: list[Record], tmp_path: Path) -> None:
    record = replace(data_set[0], name="MRN-4711.dcm", patient_id="MRN-4711", copy=2)
    row = read([record], tmp_path).iloc[0]
    assert row["patient_id"] == IDS.patient("MRN-4711") != Ids("another key").patient("MRN-4711")
    assert row["image_id"] == IDS.image(record)
    assert "4711" not in row["image_id"] + row["patient_id"]
    assert row["image_id"].startswith("phantom/")
    assert row["image_id"].endswith("#2")


def test_ids_are_as_given_if_that_is_asked_for(data_set: list[Record], tmp_path: Path) -> None:
    row = read(data_set[:1], tmp_path, ids=Ids(None)).iloc[0]
    assert (row["patient_id"], row["image_id"]) == (data_set[0].patient_id, f"phantom/{data_set[0].name}")


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\. Run the stage build_split first"):
        read_manifest(tmp_path / "manifest.parquet")


def test_a_column_that_is_not_in_the_manifest_is_an_error() -> None:
    with pytest.raises(ValueError, match="shoe_size"):
        as_table([{"shoe_size": 43}])


def test_previous_splits_count_under_the_same_rule_only(tmp_path: Path) -> None:
    rows = as_table([{"patient_id": "a", "split": "test"}, {"patient_id": "b", "rejected_because": "empty file"}])
    path = tmp_path / "manifest.parquet"
    assert len(previous_splits(path, "rule")) == 0
    write_manifest(rows, path, "rule")
    assert previous_splits(path, "rule").to_numpy().tolist() == [["a", "test"]]
    assert len(previous_splits(path, "another rule")) == 0
