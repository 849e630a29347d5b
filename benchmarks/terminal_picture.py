"""Pictures of a terminal on which `coronet run` is at work, light and dark: `python -m benchmarks.terminal_picture`.

A copy of the project runs the demo until both autoencoders are some epochs on. The log and the bars are those of the
command; rich draws what they print as SVG.
"""

import io
import logging
import re
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.progress import Progress
from rich.terminal_theme import NIGHT_OWLISH, SVG_EXPORT_THEME, TerminalTheme

from benchmarks.project import PROJECT, copy_project, run_python
from coronet_core.support.errors import CoroNetError
from flows.cli.run_display import StageBars, bars_on
from flows.monitoring.stage_progress import watched_by
from flows.pipeline.run import bring_up_to_date
from tasks.runtime.progress import ProgressEvent

FOLDER: Final = PROJECT / "docs" / "pictures"
THEMES: Final[dict[str, TerminalTheme]] = {"light": NIGHT_OWLISH, "dark": SVG_EXPORT_THEME}
COMMAND: Final = "coronet run"
COLUMNS: Final = 140
AT_WORK: Final = ("train_autoencoder@healthy", "train_autoencoder@pneumonia")
SHARE: Final = 0.15
"""Of their work that both have done when the picture is taken."""
FONT: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Which rich has loaded from a server; without it, any monospaced font."""


class TakenError(CoroNetError):
    """The pictures are taken: the run need not go on."""


class Recorder(logging.Handler):
    """Prints the log on the console that it has anyway, which records it, wrapped as a terminal wraps it."""

    def __init__(self, handler: PrefectConsoleHandler) -> None:
        super().__init__(handler.level)
        self.setFormatter(handler.formatter)
        self.console = handler.console
        self.console.record, self.console.width, self.console.file = True, COLUMNS, io.StringIO()
        self.console.print(f"$ {COMMAND}", highlight=False)

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        self.console.print(self.format(record))


class Photographer:
    """Keeps the bars of the stages, and takes the pictures once both autoencoders are on their way."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console, self._folder = console, folder
        self._progress: Progress = bars_on(console)
        self._bars = StageBars(self._progress)
        self._shares: dict[str, float] = {}
        self._lock = threading.Lock()

    def show(self, stage: str, event: ProgressEvent) -> None:
        """Bring a bar to `event`. Raises TakenError, which ends the stage, when the pictures are taken."""
        with self._lock:
            self._bars.show(stage, event)
            self._shares[stage] = event.done / max(1, event.total)
            if min(self._shares.get(name, 0.0) for name in AT_WORK) >= SHARE:
                self._take()
                raise TakenError("the pictures are taken")

    def end(self, stage: str) -> None:
        """Take a bar away."""
        with self._lock:
            self._bars.end(stage)

    def _take(self) -> None:
        if self._console.record:
            self._console.print(self._progress.get_renderable())
            self._console.print()  # the picture cuts the last line's underscores off
            for name, theme in THEMES.items():
                drawn = self._console.export_svg(title=COMMAND, theme=theme, clear=False)
                (self._folder / f"terminal-{name}.svg").write_text(FONT.sub("", drawn), encoding="utf-8")
            self._console.record = False


def take(folder: Path) -> None:
    """Run the project in the current folder until the pictures are in `folder`."""
    from flows.retrain import retrain

    root = logging.getLogger()
    handler = next(handler for handler in root.handlers if isinstance(handler, PrefectConsoleHandler))
    recorder = Recorder(handler)
    root.removeHandler(handler)
    root.addHandler(recorder)
    try:
        with watched_by(Photographer(recorder.console, folder)):
            bring_up_to_date(lambda: retrain(return_state=True))
    except CoroNetError as error:
        if recorder.console.record:  # not taken
            sys.exit(str(error))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            copy = Path(name, "coronet")
            copy_project(copy)
            run_python(copy, "-m", "benchmarks.terminal_picture", str(FOLDER))
        print(f"{FOLDER}: {', '.join(f'terminal-{name}.svg' for name in THEMES)}")
