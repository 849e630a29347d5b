"""HTML pages of the studies: ablations, cross-validation, hyperparameter searches."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna

from tasks.report.pages import write_page
from tasks.report.plots.classification import confusion
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.forest import ForestRow, fold_dots, forest
from tasks.report.plots.search import search_epochs, search_history, search_importances, search_slices

ABLATION_MEASURES: Final = {
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
SEARCH_SECTIONS: Final = {"search": "The search", "trials": "Trials"}
FOLD_SECTIONS: Final = {"folds": "Fold by fold", "pooled": "All folds pooled"}


def render_ablations(summary: dict[str, Any], target: Path) -> None:
    """Write the page of the ablation study; `summary` is the content of `reports/ablations.json`."""
    content = {
        "study": summary,
        "sections": ABLATION_SECTIONS,
        "measures": ABLATION_MEASURES,
        "differences": [drawing for key in ABLATION_MEASURES if (drawing := _differences(summary, key))],
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
        "interval_name": f"{100 * summary['confidence']:.0f}% interval",
        "figures": {
            "folds": fold_dots(values, means),
            "confusion": confusion(np.array(summary["pooled"]["confusion_matrix"])),
        },
    }
    write_page(target, "cross_validation.html.j2", content)


def render_search(study: optuna.Study, figure: str, target: Path) -> None:
    """Write the page of a hyperparameter search by `figure`, of which at least one trial is complete."""
    direction = study.direction.name.lower()
    trials = study.get_trials()
    worst = float("-inf") if direction == "maximize" else float("inf")
    ranked = sorted(trials, key=lambda one: worst if one.value is None else one.value, reverse=direction == "maximize")
    counts = Counter(one.state.name.lower() for one in trials)
    content = {
        "study": study.study_name,
        "sections": SEARCH_SECTIONS,
        "figure": figure,
        "direction": direction,
        "counts": ", ".join(f"{count} {state}" for state, count in counts.items()),
        "best": study.best_trial,
        "params": list(study.best_params),
        "trials": [
            {
                "number": one.number,
                "state": one.state.name.lower(),
                "value": one.value,
                "params": one.params,
                "error": one.user_attrs.get("error"),
            }
            for one in ranked
        ],
        "history": search_history(study, figure),
        "slices": search_slices(study, figure),
        "importances": search_importances(study),
        "epochs": search_epochs(study, figure),
    }
    write_page(target, "search.html.j2", content)


def _differences(summary: dict[str, Any], measure: str) -> Drawing | None:
    rows = [
        ForestRow(variant["title"], found["difference"], found["interval"])
        for variant in summary["variants"].values()
        if (found := variant.get("differences", {}).get(measure))
    ]
    name = ABLATION_MEASURES[measure]
    return forest(name, rows, "CoroNet minus variant", 0, "no difference") if rows else None
