"""So many lines of one kind a minute: whoever makes the service complain does not fill its disk. Metrics count on."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final

LINES: Final = 20
SECONDS: Final = 60.0
LAST: Final = f"further lines like this are suppressed for up to {SECONDS:g} s"
KIND_LENGTH: Final = 60
"""How much of a message's beginning tells its kind."""


class LineLimit:
    """Counts lines by kind, a minute at a time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until = clock() + SECONDS
        self._counts: Counter[Hashable] = Counter()

    def count(self, kind: Hashable) -> int:
        """Return how many lines of `kind` there have been in this minute, with this one: `LINES` may be written."""
        now = self._clock()
        if now >= self._until:
            self._until = now + SECONDS
            self._counts.clear()
        self._counts[kind] += 1
        return self._counts[kind]


class LogLimit(logging.Filter):
    """Leaves out records of a logger that begin alike."""

    def __init__(self, limit: LineLimit) -> None:
        super().__init__()
        self._limit = limit

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is written."""
        count = self._limit.count((record.name, record.levelno, str(record.msg)[:KIND_LENGTH]))
        if count == LINES:
            record.msg = f"{record.msg} ({LAST})"
        return count <= LINES


def limit_logs() -> None:
    """Let what libraries log, or warn of, go to standard error, limited; not where logging has been set up already."""
    handler = logging.StreamHandler()
    handler.addFilter(LogLimit(LineLimit()))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])
    logging.captureWarnings(capture=True)
