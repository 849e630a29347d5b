"""What a stage says while it works: a bar on a terminal, lines of text elsewhere, lines for a program under a flow."""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final, Self

from tqdm import tqdm

from coronet_core.support.credentials import without_credentials
from tasks.runtime.safe_text.terminal import printable

PROGRESS_VARIABLE: Final = "CORONET_PROGRESS"
"""Environment variable by which a flow asks its stages for progress lines."""
AS_LINES: Final = "lines"
LINE_PREFIX: Final = "progress: "
METRICS_VARIABLE: Final = "CORONET_METRICS"
"""Environment variable by which a flow asks its stages for their metrics as lines, too."""
METRICS_PREFIX: Final = "metrics: "
SECONDS_BETWEEN_LINES: Final = 2.0
"""To a flow."""
SECONDS_BETWEEN_TEXTS: Final = 30.0
"""To a log that no bar can be drawn in."""


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """The progress of a stage, as reported to a flow."""

    done: int
    total: int
    unit: str
    """Of both: images."""
    note: str
    """Further text, such as the last epoch."""

    def line(self) -> str:
        """Return the event as a line of text."""
        return LINE_PREFIX + json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> "ProgressEvent | None":
        """Return the event in `line`, None if it is another kind of line."""
        if not line.startswith(LINE_PREFIX + "{"):
            return None
        try:
            return cls(**json.loads(line.removeprefix(LINE_PREFIX)))
        except (ValueError, TypeError):  # text that only begins like one
            return None


@dataclass(frozen=True, kw_only=True)
class MetricsEvent:
    """Metrics that a stage has logged, as reported to a flow."""

    step: int
    """The epoch, in training."""
    values: dict[str, float]

    def line(self) -> str:
        """Return the event as a line of text."""
        return METRICS_PREFIX + json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> "MetricsEvent | None":
        """Return the event in `line`, None if it is another kind of line."""
        if not line.startswith(METRICS_PREFIX + "{"):
            return None
        try:
            return cls(**json.loads(line.removeprefix(METRICS_PREFIX)))
        except (ValueError, TypeError):  # text that only begins like one
            return None


def log_metrics(values: Mapping[str, float], step: int) -> None:
    """Print metrics as a line if a flow asks for them."""
    if os.environ.get(METRICS_VARIABLE) == AS_LINES:
        log(MetricsEvent(step=step, values=dict(values)).line())


def log(line: str) -> None:
    """Print one line, above the bar if there is one; addresses lose their credentials, and it commands no terminal."""
    tqdm.write(printable(without_credentials(line)), file=sys.stdout)
    sys.stdout.flush()


class Progress:
    """A bar with rate and time left, where standard error is no terminal a text now and then; lines if a flow asks."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        self._bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", disable=None, leave=False)
        self._label, self._total, self._unit, self._note = label, total, unit, ""
        self._began_with, self._done = done, done
        self._begun = time.monotonic()
        self._tells_lines = os.environ.get(PROGRESS_VARIABLE) == AS_LINES
        self._next_line = 0.0 if self._tells_lines else self._begun + SECONDS_BETWEEN_TEXTS

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self._bar.update(n)
        self._done += n
        if time.monotonic() < self._next_line:
            return
        if self._tells_lines:
            self._tell()
        elif self._bar.disable and self._done > self._began_with:
            self._print_text()

    @property
    def done(self) -> int:
        """Units that are done."""
        return self._done

    def note(self, text: str) -> None:
        """Say `text` beside the bar from now on."""
        self._bar.set_postfix_str(text)
        self._note = text

    def _tell(self) -> None:
        log(ProgressEvent(done=self._done, total=self._total, unit=self._unit, note=self._note).line())
        self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def _print_text(self) -> None:
        """Say how far it is, how fast, and how long it will take, on standard error as the bar does."""
        now = time.monotonic()
        rate = (self._done - self._began_with) / (now - self._begun)
        left = tqdm.format_interval(int((self._total - self._done) / rate))
        so_far = f"{self._label}: {self._done} of {self._total} {self._unit}"
        print(printable(f"{so_far}, {rate:.1f} {self._unit}/s, {left} left"), file=sys.stderr, flush=True)
        self._next_line = now + SECONDS_BETWEEN_TEXTS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
        if self._tells_lines and error is None:
            self._tell()
