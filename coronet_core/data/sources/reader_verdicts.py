"""Verdicts of readers as labels: the table that the reading page and `coronet serve --verdicts` write.

A row is one verdict: of a reader, on an image, at a time. All are kept. For the labels, the last one of each reader
counts. An image whose readers do not agree, or that one of them calls not readable, has no label and is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from coronet_core.common.classes import ClassName
from coronet_core.data.fields import letters_and_digits
from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import sha256_of

NotReadable = Literal["not_readable"]
NOT_READABLE: Final[NotReadable] = "not_readable"
Verdict = ClassName | NotReadable
MARKS: Final = ("sha256", "label", "reader", "read_at")
"""Columns that make a table of labels one of verdicts."""
LEFT_OUT_NOT_READABLE: Final = "called not readable by a reader"
LEFT_OUT_DISAGREEMENT: Final = "readers disagree on its class"
MAX_NAMED: Final = 3


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What the verdicts of a table come to."""

    rows: list[dict[str, Any]]
    """A row for each image with a label: its last verdict, `file` being where it is."""
    left_out: dict[str, str]
    """Why an image has no label, by its path."""


def are_verdicts(rows: list[dict[str, Any]]) -> bool:
    """Whether `rows` of a table of labels are verdicts of readers."""
    return bool(rows) and all(mark in rows[0] for mark in MARKS)


def settle(table: Path, folder: Path, rows: list[dict[str, Any]], images: Iterable[str]) -> Settled:
    """Return what the verdicts `rows` come to for the `images`, paths below `folder`.

    An image is known by the SHA-256 of its file: its name may have changed, and several may have the same. Raises
    DataError for a row without a checksum or a time, and for verdicts on images that are not there.
    """
    by_image: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: _read_at(table, row)):
        by_image.setdefault(_checksum(table, row), []).append(row)
    paths = _paths(table, folder, by_image, images)
    settled = Settled(rows=[], left_out={})
    for image, verdicts in by_image.items():
        last = {row["reader"].casefold(): row for row in verdicts}
        labels = {letters_and_digits(row["label"]) for row in last.values()}
        if letters_and_digits(NOT_READABLE) in labels:
            settled.left_out[paths[image]] = LEFT_OUT_NOT_READABLE
        elif len(labels) > 1:
            settled.left_out[paths[image]] = LEFT_OUT_DISAGREEMENT
        else:
            settled.rows.append(verdicts[-1] | {"file": paths[image]})
    return settled


def _read_at(table: Path, row: dict[str, Any]) -> datetime:
    try:
        time = datetime.fromisoformat(row["read_at"])
    except ValueError as error:
        raise DataError(
            f"{table}: read_at {row['read_at']!r} of {row.get('file', '')} is not a time such as "
            "2026-05-31T14:05:00+00:00. Correct it, or take the table as it was written."
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _checksum(table: Path, row: dict[str, Any]) -> str:
    checksum: str = row["sha256"].lower()
    if len(checksum) != 64 or set(checksum) - set("0123456789abcdef"):  # noqa: PLR2004  # digits of a SHA-256
        raise DataError(
            f"{table}: the verdict on {row.get('file', '')} has no SHA-256 of its image. Take the table as it was "
            "written, or delete the column sha256 and leave one row for each image."
        )
    if not row["label"]:
        raise DataError(f"{table}: the verdict on {row.get('file', '')} has no label. Correct or delete the row.")
    return checksum


def _paths(
    table: Path, folder: Path, by_image: dict[str, list[dict[str, Any]]], images: Iterable[str]
) -> dict[str, str]:
    """Return where each image with a verdict is: of several copies, the one of that name, or else the first."""
    copies: dict[str, list[str]] = {}
    for image in sorted(images):
        copies.setdefault(sha256_of(folder / image), []).append(image)
    missing = [str(verdicts[-1].get("file", "")) for image, verdicts in by_image.items() if image not in copies]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise DataError(
            f"{table}: has verdicts on images that are not in {folder}: {', '.join(missing[:MAX_NAMED])}{more}. Put "
            "the files there, as they were when they were read, or delete the rows."
        )
    return {image: _named(copies[image], verdicts) for image, verdicts in by_image.items()}


def _named(copies: list[str], verdicts: list[dict[str, Any]]) -> str:
    names = {Path(str(row.get("file", ""))).name for row in verdicts}
    return next((path for path in copies if Path(path).name in names), copies[0])
