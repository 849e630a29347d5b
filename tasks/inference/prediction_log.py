"""The log of predictions: hashes and scores, one line per image, in files by day. No pixels, paths or names.

Each writer appends whole lines to its own file, so several processes on several hosts can share a folder, and a killed
process leaves at worst one truncated last line.
"""

import json
import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.build_split.pseudonym_key import pseudonym
from tasks.calibrate.calibration_file import SCORES

SUFFIX: Final = ".jsonl"
KEPT: Final = (*SCORES, "ood_score", "abstained", "out_of_distribution")
"""Columns of predictions that are logged."""
ONLY_MINE: Final = 0o600


def _now() -> datetime:
    return datetime.now(UTC)


class PredictionLog:
    """A writer of the log in a folder; threads may share it."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = _now) -> None:
        """`now` returns the time with its zone."""
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._own_name = _new_name()

    def append(self, rows: pa.Table, model_digest: str) -> None:
        """Log `rows` (`prediction_schema.SCHEMA`) of the model with this digest, except those with an error.

        Images are identified by keyed hashes of their files, so that readers can count a repeated image once.
        """
        predicted = rows.filter(pc.is_null(rows["error"])).select(["sha256", *KEPT])
        if predicted.num_rows == 0:
            return
        now = self._now().astimezone(UTC)
        lines = [json.dumps(_entry(row, now, model_digest)) for row in predicted.to_pylist()]
        with self._lock:
            self._write("".join(f"{line}\n" for line in lines).encode(), f"{now:%Y-%m-%d}")

    def _write(self, content: bytes, day: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{day}-{self._own_name}{SUFFIX}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, ONLY_MINE)
            with open(descriptor, "ab", buffering=0) as file:  # noqa: PTH123  # by its descriptor
                while content:
                    content = content[file.write(content) :]
        except OSError:
            self._own_name = _new_name()  # the next line must not continue a truncated one
            raise


def _entry(row: dict[str, Any], now: datetime, model_digest: str) -> dict[str, Any]:
    image = pseudonym(row.pop("sha256"))
    return {"time": now.isoformat(timespec="seconds"), "model": model_digest, "image": image, **row}


def _new_name() -> str:
    return secrets.token_hex(4)
