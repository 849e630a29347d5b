"""HTML page of an external validation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from coronet_core.audits.masking import VIEW_NAMES
from coronet_core.common.classes import ClassName
from tasks.evaluate.curves import Curves
from tasks.report.pages import interval_name, write_page
from tasks.report.plots.classification import confusion, precision_recall_curves, reliability_diagram, roc_curves
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.forest import ForestRow, forest, subgroup_accuracies
from tasks.report.wording import Beside, Tested

SECTIONS: Final = {
    "images": "Images",
    "internal": "Compared with the internal test",
    "results": "Results on the external images",
    "subgroups": "Subgroups",
    "calibration": "Calibration and abstention",
    "audit": "Shortcuts",
}
OVERALL: Final = ("accuracy", "precision", "recall", "f1_score")
COMPARABLE: Final = "The internal test images are those of the model's own test split."


def render_validation(
    summary: dict[str, Any], curves: Mapping[ClassName, Curves], names_file: str, target: Path
) -> None:
    """Write the page; `summary` is the content of `validation.json`, `names_file` has the name of each image."""
    metrics, params = summary["metrics"], summary["evaluate"]
    content = {
        "study": summary,
        "sections": SECTIONS,
        "metrics": metrics,
        "evaluate": params,
        "views": VIEW_NAMES,
        "audit": summary["audit"] | {"remarks": []},
        "interval_name": interval_name(params["confidence"]),
        "tested": Tested("external images", row="external", names_file=names_file),
        "beside": _beside(summary["internal_test"]),
        "figures": {
            "confusion": confusion(np.array(metrics["confusion_matrix"])),
            "roc": roc_curves({label: one.roc for label, one in curves.items()}, metrics["roc_auc"]),
            "precision_recall": precision_recall_curves(
                {label: one.precision_recall for label, one in curves.items()}, metrics["pr_auc"]
            ),
            "reliability": reliability_diagram(metrics["calibration"]),
            "subgroups": subgroup_accuracies(metrics["subgroups"], metrics["accuracy"]),
            "differences": _differences(summary["figures"]),
        },
    }
    write_page(target, "validation.html.j2", content)


def _beside(internal: Mapping[str, Any] | None) -> Beside | None:
    if internal is None:
        return None
    by_class = {name: internal[name] for name in ("sensitivity", "ppv", "specificity") if name in internal}
    figures = {"overall": {name: internal[name] for name in OVERALL}, "confusion_matrix": internal["confusion_matrix"]}
    return Beside("internal test", COMPARABLE, figures | by_class)


def _differences(figures: Mapping[str, Mapping[str, Any]]) -> Drawing | None:
    """Draw by how much the figures are above the internal ones; None if there are no intervals."""
    rows = [
        ForestRow(one["title"], one["difference"], one["interval"])
        for one in figures.values()
        if one["interval"] is not None
    ]
    title = "Difference from the internal test"
    return forest(title, rows, "external minus internal", 0, "no difference") if rows else None
