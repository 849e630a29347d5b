"""HTML pages of ablations, cross-validations and comparisons of recipes."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.report.pages import interval_name, write_page
from tasks.report.plots.classification import confusion
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.forest import ForestRow, fold_dots, forest

MAIN_MEASURES: Final = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_roc_auc": "Macro ROC-AUC",
}
FOLD_MEASURES: Final = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1_score": "F1-score",
    "macro_roc_auc": "Macro ROC-AUC",
}
ABLATION_SECTIONS: Final = {"differences": "Differences", "variants": "Each variant"}
FOLD_SECTIONS: Final = {"folds": "Fold by fold", "pooled": "All folds pooled"}
COMPARISON_SECTIONS: Final = {
    "differences": "Differences",
    "candidates": "Each candidate",
    "changes": "What was compared",
}


def render_ablations(summary: dict[str, Any], target: Path) -> None:
    """Write the page of the ablation study; `summary` is the content of `reports/ablations.json`."""
    content = {
        "study": summary,
        "sections": ABLATION_SECTIONS,
        "measures": MAIN_MEASURES,
        "differences": [drawing for key in MAIN_MEASURES if (drawing := _ablation_differences(summary, key))],
    }
    write_page(target, "ablations.html.j2", content)


def render_cross_validation(summary: dict[str, Any], target: Path) -> None:
    """Write the page of a cross-validation; `summary` comes from `summarise`."""
    values = {name: [fold[key] for fold in summary["by_fold"]] for key, name in FOLD_MEASURES.items()}
    means = {name: summary["mean"].get(key) for key, name in FOLD_MEASURES.items()}
    content = {
        "study": summary,
        "sections": FOLD_SECTIONS,
        "measures": FOLD_MEASURES,
        "interval_name": interval_name(summary["confidence"]),
        "figures": {
            "folds": fold_dots(values, means),
            "confusion": confusion(np.array(summary["pooled"]["confusion_matrix"])),
        },
    }
    write_page(target, "cross_validation.html.j2", content)


def _ablation_differences(summary: dict[str, Any], measure: str) -> Drawing | None:
    rows = [
        ForestRow(variant["title"], found["difference"], found["interval"])
        for variant in summary["variants"].values()
        if (found := variant.get("differences", {}).get(measure))
    ]
    name = MAIN_MEASURES[measure]
    return forest(name, rows, "CoroNet minus variant", 0, "no difference") if rows else None


def render_comparison(table: dict[str, Any], target: Path) -> None:
    """Write the page of a comparison; `table` is the content of `reports/comparison.json`."""
    content = {
        "study": table,
        "sections": COMPARISON_SECTIONS,
        "measures": MAIN_MEASURES,
        "reference": table["candidates"][table["reference"]]["title"],
        "differences": [drawing for measure in MAIN_MEASURES if (drawing := _comparison_differences(table, measure))],
    }
    write_page(target, "comparison.html.j2", content)


def _comparison_differences(table: dict[str, Any], measure: str) -> Drawing | None:
    """Draw how far each candidate is from the reference; None if the figure is undefined for all of them."""
    rows = [
        ForestRow(candidate["title"], found["difference"], found["interval"])
        for candidate in table["candidates"].values()
        if "differences" in candidate and (found := candidate["differences"][measure])["difference"] is not None
    ]
    return forest(MAIN_MEASURES[measure], rows, "candidate minus reference", 0, "no difference") if rows else None
