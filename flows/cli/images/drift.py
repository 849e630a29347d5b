"""What `coronet drift` does."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from tasks.drift.drift_check import COLUMNS, Drift, Rule, check, rows_of
from tasks.drift.prediction_window import Span
from tasks.runtime.safe_text.terminal import printable

DRIFT_FOUND: Final = 3
"""Exit code when there is drift."""


@dataclass(frozen=True, kw_only=True)
class DriftOrder:
    """What the command line asks for."""

    log: Path
    span: Span
    model: str | None
    rule: Rule
    as_json: bool
    retrain: bool


def drift(order: DriftOrder) -> int:
    """Compare, print, start a retrain if that is wanted and there is drift; returns 0, or DRIFT_FOUND.

    A retrain that cannot be started is a warning: the drift is what counts. Raises CoroNetError when there is nothing
    to compare, or no server to start a retrain.
    """
    if order.retrain:
        from flows.monitoring.start_retrain import require_server  # late: Prefect takes a while

        require_server()
    found = check(order.log, order.span, order.model, order.rule)
    started = None
    if order.retrain and found.drifted:
        try:
            started = _started(found)
        except CoroNetError as error:
            print(printable(f"warning: no retrain was started: {error}"), file=sys.stderr, flush=True)
    if order.as_json:
        print(json.dumps(found.to_dict() | {"retrain": started}, indent=2, allow_nan=False))
    else:
        _print(found)
        if started is not None:
            print(f"retrain: {started}")
    return DRIFT_FOUND if found.drifted else 0


def _started(found: Drift) -> str:
    from flows.monitoring.start_retrain import start_retrain

    return start_retrain(found.model)


def _print(found: Drift) -> None:
    title = f"{counted(found.window_images, 'image')} against {counted(found.reference_images, 'validation image')}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == COLUMNS[0] else "right")
    for row in rows_of(found):
        table.add_row(*row.values())
    console = Console(highlight=False)
    console.print(table)
    for reason, n in found.passed_over.items():
        console.print(f"skipped: {reason} ({n})")
    console.print(found.verdict)
