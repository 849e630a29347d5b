"""Parquet files with a checksum."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from coronet_core.support.checksums import PLACEHOLDER
from coronet_core.support.errors import DamagedFileError
from coronet_core.support.tables import read_frame, write_frame

FRAME = pd.DataFrame({"image_id": ["a", "b"], "boxes": [[0.5], []], "label": ["healthy", None]})


def test_a_table_comes_back_and_every_reader_of_parquet_reads_it(tmp_path: Path) -> None:
    write_frame(FRAME, tmp_path / "index.parquet")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "index.parquet"), pd.read_parquet(tmp_path / "index.parquet"))
    assert read_frame(tmp_path / "index.parquet")["image_id"].tolist() == ["a", "b"]


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    write_frame(FRAME, path)
    whole = path.read_bytes()
    name = range(start := whole.index(PLACEHOLDER[:14]), start + 14)
    for place in set(range(len(whole))) - set(name):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFileError, match=f"{path}: damaged"):
            read_frame(path)


def test_a_table_without_a_checksum_is_read_and_its_damage_told(tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    FRAME.to_parquet(path)
    assert len(read_frame(path)) == 2
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedFileError, match="not a whole Parquet file"):
        read_frame(path)


def test_who_rewrites_a_table_does_not_take_its_checksum_along(tmp_path: Path) -> None:
    path = tmp_path / "index.parquet"
    write_frame(FRAME, path)
    pq.write_table(pq.read_table(path).drop_columns(["label"]), path)
    assert list(read_frame(path)) == ["image_id", "boxes"]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"index\.parquet: missing\. Run `dvc checkout"):
        read_frame(tmp_path / "index.parquet")
