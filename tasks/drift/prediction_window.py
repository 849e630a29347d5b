"""The logged predictions of one model in a time span, each image once."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.support.errors import DataError
from tasks.calibrate.calibration_file import SCORES
from tasks.inference.prediction_log import SUFFIX

LOG_FILE: Final = re.compile(rf"(\d{{4}}-\d{{2}}-\d{{2}})-[0-9a-f]+{re.escape(SUFFIX)}")
REPEATED: Final = "the same image again"
OTHER_MODEL: Final = "answered by another model"
DAMAGED: Final = "damaged lines"


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time span from `since` up to, not including, `until`, both with a time zone; None is open."""

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def from_text(cls, since: str | None, until: str | None) -> "Span":
        """Return the span of ISO dates or times, in UTC unless they have a zone; a date `until` is included.

        Raises DataError for other text and for an empty span.
        """
        span = cls(
            since=None if since is None else _moment(since, "since", timedelta(0)),
            until=None if until is None else _moment(until, "until", timedelta(days=1)),
        )
        if span.since is not None and span.until is not None and span.since >= span.until:
            raise DataError(f"since = {since}, until = {until}: an empty time span. Swap or widen them.")
        return span

    @classmethod
    def last(cls, days: int) -> "Span":
        """Return the span of the last `days` days of 24 hours."""
        return cls(since=datetime.now(UTC) - timedelta(days=days))

    def holds(self, moment: datetime) -> bool:
        """Return whether `moment` is in the span."""
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)

    def touches(self, day: date) -> bool:
        """Return whether any part of that day, in UTC, is in the span."""
        begin = datetime.combine(day, time(), UTC)
        is_over = self.since is not None and begin + timedelta(days=1) <= self.since
        return not is_over and (self.until is None or begin < self.until)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The logged predictions of a window, one per image."""

    model: str
    """Digest of the model."""
    scores: dict[str, NDArray[np.float64]]
    """By column of SCORES, (n,) each, in the order in which the images first appear."""
    abstained: int
    passed_over: Counter[str]
    """Number of ignored lines, by reason."""

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.scores[SCORES[0]])


def read_window(folder: Path, model_digest: str, span: Span) -> Window:
    """Read the predictions of the model with this digest in a time span. The last line of a repeated image counts.

    Damaged lines and those of other models are ignored and counted. Raises DataError if there is no log.
    """
    days = logged_days(folder)
    passed_over: Counter[str] = Counter()
    of_image: dict[str, tuple[datetime, bool, list[float]]] = {}
    for entry in _entries(path for path, day in days.items() if span.touches(date.fromisoformat(day))):
        if entry is None:
            passed_over[DAMAGED] += 1
        elif not span.holds(entry.moment):
            continue
        elif entry.model != model_digest:
            passed_over[OTHER_MODEL] += 1
        else:
            passed_over[REPEATED] += entry.image in of_image
            if entry.image not in of_image or of_image[entry.image][0] <= entry.moment:
                of_image[entry.image] = (entry.moment, entry.abstained, entry.scores)
    rows = np.array([scores for *_, scores in of_image.values()], dtype=np.float64).reshape(-1, len(SCORES))
    return Window(
        model=model_digest,
        scores={name: rows[:, i] for i, name in enumerate(SCORES)},
        abstained=sum(abstained for _, abstained, _ in of_image.values()),
        passed_over=+passed_over,
    )


def logged_days(folder: Path) -> dict[Path, str]:
    """Return the ISO 8601 day of each log file in `folder`. Raises DataError if there is none."""
    days = {path: match[1] for path in sorted(folder.glob("*")) if (match := LOG_FILE.fullmatch(path.name))}
    if not days:
        raise DataError(f"{folder}: no log of predictions. `coronet predict --log {folder}` writes one.")
    return days


@dataclass(frozen=True)
class _Entry:
    moment: datetime
    model: str
    image: str
    abstained: bool
    scores: list[float]


def _entries(files: Iterable[Path]) -> Iterator[_Entry | None]:
    """Yield the lines of `files`; None for damaged lines."""
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                yield _entry(line)


def _entry(line: bytes) -> _Entry | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        moment, scores = datetime.fromisoformat(fields["time"]), [float(fields[name]) for name in SCORES]
        entry = _Entry(moment, str(fields["model"]), str(fields["image"]), bool(fields["abstained"]), scores)
    except (ValueError, KeyError, TypeError):  # a truncated line, or one of another program
        return None
    return entry if all(map(math.isfinite, scores)) and moment.tzinfo is not None else None


def _moment(text: str, name: str, until_its_end: timedelta) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) + until_its_end
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"{name} = {text}: not a time. Give a day or a time: 2026-01-31, 2026-01-31T18:30.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
