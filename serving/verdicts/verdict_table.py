"""The table to which a service appends verdicts: a CSV that the source `image_folder` reads as its labels.

All verdicts are kept, also those that the same reader has changed: who said what, and when, is what a table of labels
has to be able to tell. Which of them count is settled by who reads it (`coronet_core.data.sources.reader_verdicts`).
"""

import csv
import io
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock

from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from serving.verdicts.reader_verdict import COLUMNS, ReaderVerdict

LOCK_S: Final = 10
"""How long another service may write the table before it counts as stuck."""


class VerdictTable:
    """A file of verdicts, for its owner alone when it is made: names of files may name patients."""

    def __init__(self, path: Path) -> None:
        """Take the file, or make an empty one. Raises DataError if it is of another kind or cannot be written."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._write(self._content())
        except OSError as error:
            raise DataError(
                f"verdicts = {path}: cannot be written ({error.strerror or error}). Give another file."
            ) from error

    def append(self, verdict: ReaderVerdict) -> str:
        """Add a row, whole or not at all, and return its time (ISO 8601, UTC). Other services may write the file, too.

        Raises OSError if it cannot be written or another service does not let it go, and DataError if it is no longer a
        table of verdicts.
        """
        with self._alone():
            read_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._write(self._content() + _line(verdict.row(read_at)))
        return read_at

    def _alone(self) -> FileLock:
        return FileLock(self._path.with_name(f".{self._path.name}.lock"), timeout=LOCK_S)

    def _content(self) -> bytes:
        header = _line(COLUMNS)
        content = self._path.read_bytes() if self._path.exists() else header
        if not content.startswith(header.rstrip(b"\n")):
            raise DataError(
                f"verdicts = {self._path}: not a table of verdicts of this version: its first line is not "
                f"{','.join(COLUMNS)}. Give another file, or move this one away."
            )
        return content if content.endswith(b"\n") else content + b"\n"

    def _write(self, content: bytes) -> None:
        def write(partial: Path) -> None:
            partial.write_bytes(content)
            if self._path.exists():
                shutil.copymode(self._path, partial)  # others may have been let read it

        write_whole(self._path, write, is_private=True)


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
