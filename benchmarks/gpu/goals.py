"""What is to be reached, and whether it was."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.gpu.rows import Row, figure_of

STEPS: Final = ("AE step", "AE batches", "AE compiled", "AE best batch", "both AEs")
"""Measurements of a training step of the autoencoders."""
PLAIN: Final = "plain, batch"
PROTOCOL: Final = "the whole protocol, extrapolated"
BATCHED: Final = "all images at once"


Found = tuple[float, str] | None
"""A figure and where it comes from."""


@dataclass(frozen=True)
class Goal:
    """Something to be reached."""

    text: str
    found: Callable[[Sequence[Row]], Found]
    wanted: float
    compare: Callable[[float, float], bool] = operator.ge
    """Of the figure and what is wanted."""


def goal_lines(rows: Sequence[Row], *, counts: bool) -> list[str]:
    """Return a line for each goal: reached, missed or not measured, with the figure; unless `counts` none is judged."""
    return [_line(goal, rows, counts=counts) for goal in GOALS]


def _line(goal: Goal, rows: Sequence[Row], *, counts: bool) -> str:
    found = goal.found(rows)
    if found is None:
        return f"not measured  {goal.text}"
    value, source = found
    if not counts:
        return f"not measured  {goal.text} (a trial gave {value:.3g}: {source})"
    verdict = "reached" if goal.compare(value, goal.wanted) else "missed"
    return f"{verdict:13} {goal.text}: {value:.3g} ({source})"


def _wrong(rows: Sequence[Row]) -> Found:
    checks = [row for row in rows if "right" in row.figures]
    wrong = [row.name for row in checks if not row.figures["right"]]
    return (len(wrong), ", ".join(wrong) or f"{len(checks)} checks") if checks else None


def _best(figure: str) -> Callable[[Sequence[Row]], Found]:
    def found(rows: Sequence[Row]) -> Found:
        steps = (row for row in rows if row.measurement in STEPS and not row.name.startswith(PLAIN))
        values = [(float(row.figures[figure]), row.name) for row in steps if figure in row.figures]
        return max(values, default=None)

    return found


def _one(name: str, figure: str, scale: float = 1.0) -> Callable[[Sequence[Row]], Found]:
    def found(rows: Sequence[Row]) -> Found:
        value = figure_of(rows, name, figure)
        return None if value is None else (scale * value, name)

    return found


GOALS: Final = (
    Goal("every check right; wrong ones, wanted none", _wrong, 0, operator.le),
    Goal("a training step of the FPAE, times the plain path, wanted 10", _best("times_plain"), 10),
    Goal("a training step of the FPAE, share of the copy bandwidth, wanted 0.5", _best("copy_share"), 0.5),
    Goal("the paper's protocol in minutes, wanted under 10", _one(PROTOCOL, "seconds", 1 / 60), 10, operator.lt),
    Goal("the explainer, times one by one, wanted 20", _one(BATCHED, "times_plain"), 20),
)
