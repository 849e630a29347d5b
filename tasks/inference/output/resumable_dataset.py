"""The predictions on disk: a folder of Parquet files, one per shard, which Parquet readers load as one table.

Parts are written atomically. A part's name, `part-<shard>-<work>-<content>.parquet`, has a digest of the shard's files,
the model and the code, and a digest of the part's own bytes: a killed run continues after its last part, a damaged part
is detected, and repeating an unchanged run does nothing. `_summary.json` is written last: without it, the predictions
are incomplete.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import sha256_of, write_whole
from tasks.inference.input.image_file import CANNOT_BE_OPENED, ImageFile
from tasks.runtime.code_digest import code_digest, files_needed_by
from tasks.runtime.files import digest, read_json, write_json
from tasks.runtime.resume import DAMAGED, set_aside

SUMMARY: Final = "_summary.json"
PART: Final = "part-*.parquet"
DIGITS: Final = 16
PREDICTOR_MODULE: Final = "tasks.inference.predictor"
"""Predictions depend on the code of this module and of all that it imports."""


class PredictionDataset:
    """The parts of one prediction run, finished and missing ones."""

    def __init__(
        self,
        folder: Path,
        shards: Sequence[Sequence[ImageFile]],
        model_digest: str,
        passed_over: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Open or make `folder` for the `shards` of files. Parts of other files, models or code are deleted.

        Damaged parts are set aside until all parts exist. `passed_over` is for the summary: the number of skipped files
        by reason.

        Raises DataError if `folder` contains anything but predictions.
        """
        self.folder = folder
        self.model_digest = model_digest
        self._passed_over = passed_over
        work = digest(model_digest, code_digest(files_needed_by(PREDICTOR_MODULE)))
        self._names = [f"part-{i:05d}-{digest(work, list(files))[:DIGITS]}" for i, files in enumerate(shards)]
        self._parts: dict[int, Path] = {}
        _refuse_others(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMMARY).unlink(missing_ok=True)
        self._take_parts({name: shard for shard, name in enumerate(self._names)})

    def _take_parts(self, shards: dict[str, int]) -> None:
        for part in sorted(self.folder.glob(PART)):
            name, _, content = part.stem.rpartition("-")
            if name not in shards:
                part.unlink()
            elif sha256_of(part)[:DIGITS] != content:
                set_aside(part, self.folder)
            else:
                self._parts[shards[name]] = part

    def missing(self) -> list[int]:
        """Return the shards that have no part yet, or a part with files that could not be opened, worth a retry."""
        parts = [self._parts.get(shard) for shard in range(len(self._names))]
        return [shard for shard, part in enumerate(parts) if part is None or _could_not_open(part)]

    def keep(self, shard: int, rows: pa.Table) -> None:
        """Write the part of a shard atomically."""
        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer)
        content = buffer.getvalue().to_pybytes()
        if shard in self._parts:
            self._parts.pop(shard).unlink()
        part = self.folder / f"{self._names[shard]}-{sha256(content).hexdigest()[:DIGITS]}.parquet"
        write_whole(part, lambda partial: partial.write_bytes(content))
        self._parts[shard] = part

    def finish(self) -> dict[str, Any]:
        """Write `_summary.json` once all parts exist, and return its content.

        `predicted` counts the files with a most probable class, and `abstained` and `out_of_distribution` some of them.
        """
        counts: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        for _, part in sorted(self._parts.items()):
            rows = pd.read_parquet(part, columns=["error", "predicted", "abstained", "out_of_distribution"])
            counts += Counter(
                files=len(rows),
                predicted=int(rows["predicted"].notna().sum()),
                abstained=int((rows["abstained"] == True).sum()),  # noqa: E712  # null is no abstention
                out_of_distribution=int((rows["out_of_distribution"] == True).sum()),  # noqa: E712
            )
            errors += Counter(rows["error"].dropna())
        names = ("files", "predicted", "abstained", "out_of_distribution")
        summary = {name: counts[name] for name in names} | {
            "errors": dict(errors),
            "passed_over": dict(self._passed_over),
            "model": self.model_digest,
        }
        write_json(self.folder / SUMMARY, summary)
        for damaged in self.folder.glob(DAMAGED.format("*")):
            damaged.unlink()
        return summary


def read_parts(folder: Path) -> Iterator[pa.Table]:
    """Yield the parts of finished predictions in order, one at a time in memory."""
    for part in sorted(folder.glob(PART)):
        yield pq.read_table(part)


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the summary of finished predictions."""
    return read_json(folder / SUMMARY, "Run `coronet predict` again.")


def _refuse_others(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataError(
            f"{folder}: a file. Predictions are written to a folder of Parquet files: give another name, or delete it."
        )
    for path in folder.iterdir() if folder.is_dir() else ():
        if not (path.match(PART) or path.name == SUMMARY or path.name.startswith(".")):
            raise DataError(f"{folder}: contains {path.name}, so it is not a folder of predictions. Give another name.")


def _could_not_open(part: Path) -> bool:
    errors = pq.read_table(part, columns=["error"])["error"]
    return bool(pc.any(pc.starts_with(errors, CANNOT_BE_OPENED)).as_py())
