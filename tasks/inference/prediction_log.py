"""The log of predictions: hashes and scores, a line an image, in files by day. No pixels, no paths, no names.

Every writer has a file of its own and appends whole lines to it, so several processes, on several hosts, can share a
folder, and what a killed one leaves is at worst one torn last line.
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
from tasks.calibrate.drift_reference import SCORES

SUFFIX: Final = ".jsonl"
KEPT: Final = (*SCORES, "ood_score", "abstained", "out_of_distribution")
"""Columns of predictions that are logged."""
ONLY_MINE: Final = 0o600


def _now() -> datetime:
    return datetime.now(UTC)


class PredictionLog:
    """One writer to the log in a folder; threads may share it."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = _now) -> None:
        """`now` tells the time with its zone."""
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._own_name = _new_name()

    def append(self, rows: pa.Table, model_digest: str) -> None:
        """Log `rows` of predictions (`prediction_schema.SCHEMA`) by the model; those without an answer are not.

        Images are called by keyed hashes of their files: one that is predicted again can be told, and counts once.
        """
        answered = rows.filter(pc.is_null(rows["error"])).select(["sha256", *KEPT])
        if answered.num_rows == 0:
            return
        now = self._now().astimezone(UTC)
        lines = [json.dumps(_entry(row, now, model_digest)) for row in answered.to_pylist()]
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
            self._own_name = _new_name()  # the next line must not go on behind half a line
            raise


def _entry(row: dict[str, Any], now: datetime, model_digest: str) -> dict[str, Any]:
    image = pseudonym(row.pop("sha256"))
    return {"time": now.isoformat(timespec="seconds"), "model": model_digest, "image": image, **row}


def _new_name() -> str:
    return secrets.token_hex(4)
