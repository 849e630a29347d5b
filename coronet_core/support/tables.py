"""Tables on disk: Parquet files with a checksum. Needs pandas and pyarrow, unlike the other modules here."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from coronet_core.support.checksums import PLACEHOLDER, damaged_file, require_intact, write_checksum
from coronet_core.support.whole_files import write_whole

LENGTH: Final = struct.Struct("<I4x")
"""The last bytes of a Parquet file: the length of its footer, and `PAR1`."""


def write_table(table: pa.Table, path: Path) -> None:
    """Write `table` with a checksum, whole or not at all."""

    def write(partial: Path) -> None:
        pq.write_table(table, partial)
        _make_room(partial)
        write_checksum(partial)

    write_whole(path, write)


def _make_room(path: Path) -> None:
    """Put the placeholder of a checksum before the footer, where readers look at nothing.

    Metadata would travel with the table into files that others write, where the checksum is wrong.
    """
    with path.open("r+b") as file:
        file.seek(-LENGTH.size, os.SEEK_END)
        (footer_bytes,) = LENGTH.unpack(file.read())
        footer_at = file.seek(-LENGTH.size - footer_bytes, os.SEEK_END)
        footer = file.read()
        file.seek(footer_at)
        file.write(PLACEHOLDER + footer)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame`, without its index, as `write_table` does."""
    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def read_table(path: Path, schema: pa.Schema | None = None, remedy: str | None = None) -> pa.Table:
    """Read a table. Raises DamagedFileError, which ends in `remedy`, if the file is missing or damaged."""
    with _damage_explained(path, remedy):
        return pq.read_table(path, schema=schema)


def read_schema(path: Path, remedy: str | None = None) -> pa.Schema:
    """Read the schema of a table. Raises as `read_table` does."""
    with _damage_explained(path, remedy):
        return pq.read_schema(path)


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table as pandas has it. Raises as `read_table` does."""
    with _damage_explained(path, None):
        return pd.read_parquet(path)


@contextmanager
def _damage_explained(path: Path, remedy: str | None) -> Iterator[None]:
    require_intact(path, remedy)
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:  # of a file without a checksum
        raise damaged_file(path, "not a whole Parquet file", remedy) from error
