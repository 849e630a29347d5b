"""Reading a data set into shards and manifest rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coronet_core.data.ingest import read_images
from coronet_core.data.manifest import pseudonym, read_manifest, write_manifest
from coronet_core.data.record import Record
from coronet_core.data.sources import phantom
from coronet_core.errors import DataError
from coronet_core.shards import Shards


def unreadable() -> bytes:
    raise OSError(13, "Permission denied")


@pytest.fixture
def data_set() -> list[Record]:
    return phantom.records({"healthy": 4, "pneumonia": 2, "covid19": 2}, 1, 64, seed=3)


def read(records: list[Record], folder: Path, shard_images: int = 3) -> list[dict[str, object]]:
    return read_images(records, 64, shard_images, "key", folder / "images", folder / "blocks")


def test_rows_lead_to_the_pixels_of_their_image(data_set: list[Record], tmp_path: Path) -> None:
    data_set[1] = replace(data_set[1], read=unreadable)  # a gap, so that rows and records no longer go in step
    rows = [row | {"split": "train"} for row in read(data_set, tmp_path)]
    write_manifest(rows, tmp_path / "manifest.parquet")
    manifest = read_manifest(tmp_path / "manifest.parquet")
    stack = Shards.in_folder(tmp_path / "images")
    whole = {record.image_id: read([record], tmp_path / record.image_id, 1) for record in data_set[2:]}
    for place, image_id in manifest["image_id"].items():
        if image_id in whole:
            alone = Shards.in_folder(tmp_path / image_id / "images").take(np.array([0]))
            np.testing.assert_array_equal(stack.take(np.array([place])), alone)
    assert len(stack) == len(manifest) == len(data_set) - 1


def test_what_cannot_be_read_is_a_row_with_its_reason(data_set: list[Record], tmp_path: Path) -> None:
    data_set[0] = replace(data_set[0], read=unreadable)
    data_set[1] = replace(data_set[1], read=lambda: b"not an image")
    rows = read(data_set, tmp_path)
    assert [row["rejected_because"] for row in rows[:3]] == [
        "cannot be opened (Permission denied)",
        "not an image",
        None,
    ]
    assert rows[0]["shard"] is None


def test_blocks_that_are_finished_are_not_read_again(data_set: list[Record], tmp_path: Path) -> None:
    first = read(data_set, tmp_path)
    again = read([replace(record, read=unreadable) for record in data_set], tmp_path)
    assert again == first


def test_patients_are_pseudonyms_that_need_the_key(data_set: list[Record], tmp_path: Path) -> None:
    row = read(data_set, tmp_path)[0]
    assert row["patient_id"] == pseudonym(data_set[0].patient_id, "key")
    assert row["patient_id"] != pseudonym(data_set[0].patient_id, "another key")


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\. Run the stage build_split first"):
        read_manifest(tmp_path / "manifest.parquet")


def test_a_column_that_is_not_in_the_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shoe_size"):
        write_manifest([{"shoe_size": 43}], tmp_path / "manifest.parquet")
