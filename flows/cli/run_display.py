"""Bars of the stages that run, below what they and their run print on a terminal; elsewhere there is no bar."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from prefect.client.schemas.objects import State
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from flows.monitoring.stage_progress import watched_by
from tasks.runtime.progress import AS_LINES, PROGRESS_VARIABLE, ProgressEvent
from tasks.runtime.safe_text.terminal import printable

REFRESHES_PER_S: Final = 4
NAME_WIDTH: Final = 28


class RateColumn(ProgressColumn):
    """Units a second, once they are known."""

    def render(self, task: Task) -> Text:
        """Return the text of one bar."""
        return Text("" if task.speed is None else f"{task.speed:,.1f} {task.fields['unit']}/s")


class StageBars:
    """A bar for each stage that is at work; called by the threads of several stages."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def show(self, stage: str, event: ProgressEvent) -> None:
        """Bring the bar of `stage` to `event`."""
        unit, note = printable(event.unit), escape(printable(event.note))
        with self._lock:
            if stage not in self._bars:
                name = escape(printable(stage))
                self._bars[stage] = self._progress.add_task(name, total=event.total, unit=unit, note=note)
            bar = self._bars[stage]
            self._progress.update(bar, total=event.total, completed=event.done, unit=unit, note=note)

    def end(self, stage: str) -> None:
        """Take the bar of `stage` away; its end is in the log."""
        with self._lock:
            if (bar := self._bars.pop(stage, None)) is not None:
                self._progress.remove_task(bar)


def displayed(run_flow: Callable[[], State[Any]]) -> Callable[[], State[Any]]:
    """Return `run_flow` with bars of its stages."""

    def run() -> State[Any]:
        with run_display():
            return run_flow()

    return run


@contextmanager
def run_display() -> Iterator[None]:
    """Show bars until the end, if the log goes to a terminal; to be called in the main thread.

    The log's own console draws them, so its lines come above. Ctrl-C takes them away before what it does otherwise.
    """
    console = _console_of_log()
    if console is None or console.is_dumb_terminal or not console.file.isatty():  # colours may be forced in a pipe
        yield
        return
    progress = bars_on(console)
    former = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: FrameType | None) -> None:
        progress.stop()
        if callable(former):
            former(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        with progress, watched_by(StageBars(progress)):
            yield
    finally:
        signal.signal(signal.SIGINT, former)


@contextmanager
def stage_display(stage: str, console: Console) -> Iterator[tuple[dict[str, str], Callable[[str], None]]]:
    """Show a stage that runs without Prefect: a bar below its output on a terminal, the output alone elsewhere.

    Yields what its environment needs for that, and what takes its output line by line.
    """

    def show(line: str) -> None:
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    if not console.is_terminal or console.is_dumb_terminal:
        yield {}, show
        return
    with bars_on(console) as progress:
        bars = StageBars(progress)

        def show_line(line: str) -> None:
            if (event := ProgressEvent.from_line(line)) is None:
                show(line)
            else:
                bars.show(stage, event)

        yield {PROGRESS_VARIABLE: AS_LINES}, show_line


def bars_on(console: Console) -> Progress:
    """Return bars below what `console` prints, not started yet."""
    columns = (
        TextColumn("{task.description:" + str(NAME_WIDTH) + "}", style="none"),
        # The log's console knows none of rich's named styles.
        BarColumn(24, style="bright_black", complete_style="cyan", finished_style="green", pulse_style="bright_black"),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}", style="none"),
        RateColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="none"),
    )
    return Progress(*columns, console=console, transient=True, refresh_per_second=REFRESHES_PER_S)


def _console_of_log() -> Console | None:
    """Return the console that Prefect's log is printed on: that of the root logger, to which its loggers hand on."""
    handlers = logging.getLogger().handlers
    return next((handler.console for handler in handlers if isinstance(handler, PrefectConsoleHandler)), None)
