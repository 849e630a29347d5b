"""What a stage says, on Prefect's page: its log, and how far it is as a progress artifact."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol
from uuid import UUID

from httpx import HTTPError
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from tasks.runtime.progress import MetricsEvent, ProgressEvent
from tasks.runtime.safe_text.markdown import plain
from tasks.runtime.safe_text.terminal import printable

OnMetrics = Callable[[str, MetricsEvent], None]
"""Takes the metrics of a stage, by its name, as they come."""


class ProgressWatcher(Protocol):
    """Receives the progress of stages, beside Prefect's page."""

    def show(self, stage: str, event: ProgressEvent) -> None:
        """Take the progress of `stage`."""

    def end(self, stage: str) -> None:
        """Take note that `stage` has ended."""


_watcher: ContextVar[ProgressWatcher | None] = ContextVar("progress_watcher", default=None)


@contextmanager
def watched_by(watcher: ProgressWatcher) -> Iterator[None]:
    """Report the progress of all stages that run meanwhile to `watcher`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


class NamedWatcher:
    """Passes progress on under the name of the work that the stages belong to, such as a fold."""

    def __init__(self, watcher: ProgressWatcher, work: str) -> None:
        self._watcher, self._work = watcher, work

    def show(self, stage: str, event: ProgressEvent) -> None:
        """Pass the progress of `stage` on."""
        self._watcher.show(f"{self._work}: {stage}", event)

    def end(self, stage: str) -> None:
        """Pass on that `stage` has ended."""
        self._watcher.end(f"{self._work}: {stage}")


@contextmanager
def watched_as(work: str) -> Iterator[None]:
    """Report the stages that run meanwhile under the name of `work`: those of several folds may run at once."""
    if (watcher := _watcher.get()) is None:
        yield
        return
    with watched_by(NamedWatcher(watcher, work)):
        yield


def note_end(stage: str) -> None:
    """Report the end of `stage` to the watcher, if there is one."""
    if (watcher := _watcher.get()) is not None:
        watcher.end(stage)


class ProgressArtifact:
    """How far some work is, on Prefect's page; to be used within its run."""

    def __init__(self, name: str) -> None:
        self._key = re.sub("[^a-z0-9]+", "-", f"progress-{name}".lower())  # Prefect takes no others in keys
        self._artifact: UUID | None = None

    def show(self, percent: float, text: str) -> None:
        """Bring the artifact to `percent` and `text`; made when there is something to show."""
        with contextlib.suppress(HTTPError, PrefectException):  # a server that restarts: the next call shows more
            if self._artifact is None:
                self._artifact = UUID(str(create_progress_artifact(percent, self._key, text)))  # typed for async too
            else:
                update_progress_artifact(self._artifact, percent, text)


class StageProgress:
    """The progress artifact of one run of a stage; to be used within its task."""

    def __init__(self, stage: str) -> None:
        self._artifact = ProgressArtifact(stage)
        self._first: tuple[float, int] | None = None

    def show(self, event: ProgressEvent) -> None:
        """Bring the artifact to `event`."""
        now = time.monotonic()
        began_s, began_with = self._first = self._first or (now, event.done)
        rate = (event.done - began_with) / (now - began_s) if now > began_s else 0.0
        self._artifact.show(100 * event.done / max(1, event.total), plain(described(event, rate)))


def stage_log(stage: str, on_metrics: OnMetrics | None = None) -> Callable[[str], None]:
    """Return what takes the output of `stage` line by line within its task: to the log, or to the progress shown.

    `on_metrics` receives the metrics among them; what it raises ends the stage.
    """
    log, progress, watcher = get_run_logger(), StageProgress(stage), _watcher.get()

    def on_line(line: str) -> None:
        if (event := ProgressEvent.from_line(line)) is not None:
            progress.show(event)
            if watcher is not None:
                watcher.show(stage, event)
        elif on_metrics is not None and (metrics := MetricsEvent.from_line(line)) is not None:
            on_metrics(stage, metrics)
        else:
            log.info(printable(line))

    return on_line


def described(event: ProgressEvent, rate: float) -> str:
    """Return how far a stage is in words; `rate` is in units a second, 0 if unknown."""
    parts = [event.note, f"{event.done:,} of {event.total:,} {event.unit}"]
    if rate > 0:
        parts += [f"{rate:,.1f} a second", f"{clock((event.total - event.done) / rate)} left"]
    return ", ".join(part for part in parts if part)


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds: 1:02:03."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
