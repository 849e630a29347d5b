"""Tables 2 to 5 on the terminal."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from coronet_core.classes import CLASSES, DISPLAY_NAMES

OVERALL = {"accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1_score": "F1-score"}


def print_tables(metrics_file: Path) -> None:
    """Print the tables of a run's `metrics.json`."""
    metrics = json.loads(metrics_file.read_text(encoding="utf-8"))
    console = Console()
    cells = [percent(metrics[key]) for key in OVERALL]
    cells[0] += f" {interval(metrics['accuracy_interval'])}"
    console.print(_table("Table 2: overall (%), accuracy with interval", OVERALL.values(), {"": cells}))
    for number, key, title in ((3, "sensitivity", "sensitivity"), (4, "ppv", "positive predictive value")):
        cells = [f"{percent(metrics[key][label])} {interval(metrics[f'{key}_interval'][label])}" for label in CLASSES]
        console.print(_table(f"Table {number}: {title} (%), with interval", DISPLAY_NAMES.values(), {"": cells}))
    confusion = dict(zip(DISPLAY_NAMES.values(), metrics["confusion_matrix"], strict=True))
    console.print(_table("Table 5: confusion matrix, rows truth", DISPLAY_NAMES.values(), confusion))


def _table(title: str, columns: Any, rows: dict[str, list[Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *(str(cell) for cell in cells))
    return table


def percent(share: float | None) -> str:
    """Return a share as the tables print it; a dash where it is undefined."""
    return "–" if share is None else f"{100 * share:.2f}"


def interval(bounds: list[float]) -> str:
    """Return an interval of a share as the tables print it."""
    return f"({100 * bounds[0]:.1f}–{100 * bounds[1]:.1f})"
