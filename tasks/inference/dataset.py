"""The predictions on disk: a folder of Parquet files, one a shard, that readers of Parquet take as one table.

A part is whole or not there, and its name tells its shard's files, model and code: a run that was killed goes on behind
its last part, and one that is started again when nothing has changed has nothing to do. `_summary.json` comes last: as
long as it is missing, so are parts.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coronet_core.errors import DataError
from tasks.files import digest, write_json, write_whole
from tasks.inference.files import CANNOT_BE_OPENED, ImageFile
from tasks.resume import code_files

SUMMARY: Final = "_summary.json"
PART: Final = "part-*.parquet"
DIGITS: Final = 16


class PredictionDataset:
    """The parts of one prediction: those that are there, and those still to be made."""

    def __init__(self, folder: Path, shards: Sequence[Sequence[ImageFile]], model_digest: str) -> None:
        """Open or make `folder` for the `shards` of files. Parts of other files, models or code are deleted.

        Raises DataError if `folder` is something else than predictions.
        """
        self.folder = folder
        self.model_digest = model_digest
        work = digest(model_digest, *code_files())
        self._parts = [
            folder / f"part-{number:05d}-{digest(work, list(files))[:DIGITS]}.parquet"
            for number, files in enumerate(shards)
        ]
        _refuse_others(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMMARY).unlink(missing_ok=True)
        for part in set(folder.glob(PART)) - set(self._parts):
            part.unlink()

    def missing(self) -> list[int]:
        """Return the shards that have no part yet, or one with files that could not be opened: perhaps they can now."""
        return [number for number, part in enumerate(self._parts) if not part.is_file() or _could_not_open(part)]

    def keep(self, shard: int, rows: pa.Table) -> None:
        """Write the part of a shard, whole or not at all."""
        write_whole(self._parts[shard], partial(pq.write_table, rows))

    def finish(self) -> dict[str, Any]:
        """Write `_summary.json` when all parts are there, and return what it says."""
        counts: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        for part in self._parts:
            rows = pd.read_parquet(part, columns=["error", "abstained", "out_of_distribution"])
            counts += Counter(
                files=len(rows),
                answered=int((rows["abstained"] == False).sum()),  # noqa: E712  # null is neither
                abstained=int((rows["abstained"] == True).sum()),  # noqa: E712
                out_of_distribution=int((rows["out_of_distribution"] == True).sum()),  # noqa: E712
            )
            errors += Counter(rows["error"].dropna())
        names = ("files", "answered", "abstained", "out_of_distribution")
        summary = {name: counts[name] for name in names} | {"errors": dict(errors), "model": self.model_digest}
        write_json(self.folder / SUMMARY, summary)
        return summary


def read_parts(folder: Path) -> Iterator[pa.Table]:
    """Yield the parts of finished predictions, in order, one at a time in memory."""
    for part in sorted(folder.glob(PART)):
        yield pq.read_table(part)


def read_summary(folder: Path) -> dict[str, Any]:
    """Read what finished predictions come to."""
    found: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return found


def _refuse_others(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataError(
            f"{folder}: a file. Predictions are a folder of Parquet files: give another name, or delete it."
        )
    for path in folder.iterdir() if folder.is_dir() else ():
        if not (path.match(PART) or path.name == SUMMARY or path.name.startswith(".")):
            raise DataError(f"{folder}: holds {path.name}, so it is no folder of predictions. Give another name.")


def _could_not_open(part: Path) -> bool:
    errors = pq.read_table(part, columns=["error"])["error"]
    return bool(pc.any(pc.starts_with(errors, CANNOT_BE_OPENED)).as_py())
