"""HTML page of a comparison of recipes."""

from pathlib import Path
from typing import Any, Final

from tasks.report.pages import write_page
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.forest import ForestRow, forest

MEASURES: Final = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_roc_auc": "Macro ROC-AUC",
}
SECTIONS: Final = {"differences": "Differences", "candidates": "Each candidate", "changes": "What was compared"}


def render_comparison(table: dict[str, Any], target: Path) -> None:
    """Write the page of a comparison; `table` is the content of `reports/comparison.json`."""
    content = {
        "study": table,
        "sections": SECTIONS,
        "measures": MEASURES,
        "reference": table["candidates"][table["reference"]]["title"],
        "differences": [drawing for measure in MEASURES if (drawing := _differences(table, measure))],
    }
    write_page(target, "comparison.html.j2", content)


def _differences(table: dict[str, Any], measure: str) -> Drawing | None:
    """Draw how far each candidate is from the reference; None if the figure is undefined for all of them."""
    rows = [
        ForestRow(candidate["title"], found["difference"], found["interval"])
        for candidate in table["candidates"].values()
        if "differences" in candidate and (found := candidate["differences"][measure])["difference"] is not None
    ]
    return forest(MEASURES[measure], rows, "candidate minus reference", 0, "no difference") if rows else None
