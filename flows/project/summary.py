"""Tables 2 to 5 on the terminal, and in three lines how far they can be trusted."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.runtime.files import read_json
from tasks.runtime.safe_text.terminal import printable

OVERALL = {"accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1_score": "F1-score"}
BY_CLASS = {"sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV"}


def print_tables(metrics_file: Path, audit_file: Path) -> None:
    """Print the tables of a run's `metrics.json`, and the verdict of its `audit.json`."""
    metrics, audit = map(read_json, (metrics_file, audit_file))
    console = Console()
    cells = [percent(metrics[key]) for key in OVERALL]
    cells[0] += f" {interval(metrics['accuracy_interval'])}"
    console.print(_table("Table 2: overall (%), accuracy with interval", OVERALL.values(), {"": cells}))
    by_class = {
        title: [f"{percent(metrics[key][label])} {interval(metrics[f'{key}_interval'][label])}" for label in CLASSES]
        for key, title in BY_CLASS.items()
    }
    console.print(_table("Tables 3 and 4: by class (%), with interval", DISPLAY_NAMES.values(), by_class))
    confusion = dict(zip(DISPLAY_NAMES.values(), metrics["confusion_matrix"], strict=True))
    console.print(_table("Table 5: confusion matrix, rows truth", DISPLAY_NAMES.values(), confusion))
    for line in (*_trust(metrics), *_verdict(audit["verdict"])):
        console.print(printable(line), markup=False, highlight=False)


def _trust(metrics: dict[str, Any]) -> list[str]:
    intervals, errors, abstained = metrics["intervals"], metrics["calibration"], metrics["abstention"]["abstained"]
    area = metrics["roc_auc"]["macro"]
    means = (
        f"Balanced accuracy {percent(metrics['balanced_accuracy'])}% {interval(intervals['balanced_accuracy'])}, "
        f"macro ROC-AUC {number(area)} {bracketed(intervals['roc_auc']['macro'])}"
    )
    trust = (
        f"Calibration error (ECE) {errors['before']['ece']:.3f} uncalibrated, {errors['after']['ece']:.3f} calibrated; "
        f"{percent(abstained['share'])}% {interval(abstained['interval'])} of the images need a human reader"
    )
    return [means, trust]


def _verdict(verdict: dict[str, Any]) -> list[str]:
    return [f"Shortcut audit: {'passed' if verdict['passed'] else 'not passed'}", *verdict["findings"]]


def _table(title: str, columns: Any, rows: dict[str, list[Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *(str(cell) for cell in cells))
    return table


def figure(name: str, value: float | None) -> str:
    """Return the figure `name` as the tables print it: areas under curves as they are, shares in percent."""
    return number(value) if is_area(name) else percent(value)


def is_area(name: str) -> bool:
    """Whether the figure `name` is an area under a curve, for which percent are not usual."""
    return "_auc" in name


def percent(share: float | None) -> str:
    """Return a share as the tables print it; a dash where it is undefined."""
    return "–" if share is None else f"{100 * share:.2f}"


def number(value: float | None) -> str:
    """Return an area under a curve as the tables print it; a dash where it is undefined."""
    return "–" if value is None else f"{value:.3f}"


def bracketed(bounds: list[float] | None) -> str:
    """Return an interval of an area as the tables print it; a dash where it is undefined."""
    return "(–)" if bounds is None else f"({bounds[0]:.3f}–{bounds[1]:.3f})"


def interval(bounds: list[float] | None) -> str:
    """Return an interval of a share as the tables print it; a dash where it is undefined."""
    return "(–)" if bounds is None else f"({100 * bounds[0]:.1f}–{100 * bounds[1]:.1f})"
