"""Stage `report`: all reports in; one self-contained HTML page, its figures and the model card out."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from coronet_core.paper import PAPER
from tasks.report.pages import write_page
from tasks.report.plots.attribution_maps import METHOD_NAMES
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.masked_views import VIEW_NAMES
from tasks.report.report_figures import report_figures
from tasks.report.report_provenance import provenance
from tasks.runtime.files import publish_folder
from tasks.runtime.paths import AUDIT, EXPLANATION_MEASURES, FIGURES, METRICS, MODEL_CARD, REPORT, SPLIT_REPORT, STATE
from tasks.runtime.progress import say
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import flattened
from tasks.training.number_formats import FORMAT_NAMES, training_formats

SECTIONS: Final = {
    "data": "Data",
    "training": "Training",
    "residuals": "Residuals",
    "results": "Results",
    "subgroups": "Groups",
    "calibration": "Calibration",
    "audit": "Shortcuts",
    "explanations": "Maps",
    "provenance": "Origin",
}
"""Parts of the page and what the table of contents calls them; `templates/sections` has a file for each."""


def run(context: StageContext) -> None:
    """Draw the figures and fill the templates."""
    context.tracking.deliver()  # now, so that the page can name its own run
    metrics, split, audit, explanations = map(_read, (METRICS, SPLIT_REPORT, AUDIT, EXPLANATION_MEASURES))
    drawings = report_figures(metrics, audit, explanations, context.params)
    content: dict[str, Any] = {
        "paper": PAPER,
        "sections": SECTIONS,
        "metrics": metrics,
        "split": split,
        "audit": audit,
        "views": VIEW_NAMES,
        "explanations": explanations,
        "methods": METHOD_NAMES,
        "warnings": [*split["warnings"], *metrics["warnings"]],
        "evaluate": context.params.evaluate,
        "explain": context.params.explain,
        "interval_name": f"{100 * context.params.evaluate.confidence:.0f}% interval",
        "figures": drawings,
        "params": flattened(asdict(context.params)),
        "made": provenance(context),
        "training_formats": {name: FORMAT_NAMES[found] for name, found in training_formats().items()},
        "worst_group": _worst_group(metrics["subgroups"]),
    }
    write_page(REPORT, "report.html.j2", content)
    write_page(MODEL_CARD, "model_card.md.j2", content)
    _write_figures(drawings)
    for path in (REPORT, MODEL_CARD, *sorted(FIGURES.iterdir())):
        context.tracking.artifact(path)
    say(f"report: {REPORT}")


def _read(report: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return content


def _worst_group(subgroups: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any] | None:
    """Return the group of the lowest accuracy among those that are not small, if there is one."""
    large = [
        {"name": f"{grouping.replace('_', ' ')} {name}", **figures}
        for grouping, groups in subgroups.items()
        for name, figures in groups.items()
        if not figures["is_small"]
    ]
    return min(large, key=lambda group: group["accuracy"], default=None)


def _write_figures(drawings: Mapping[str, Drawing]) -> None:
    partial = STATE / "figures"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, drawing in drawings.items():
        (partial / f"{name}.png").write_bytes(drawing.png)
    publish_folder(partial, FIGURES, STATE / "figures.former")
