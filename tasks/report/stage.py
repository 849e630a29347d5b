"""Stage `report`: the HTML report, its figures and the model card, with their provenance."""

import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import torch

from coronet_core.audits.masking import VIEW_NAMES
from coronet_core.autoencoder.architecture import ARCHITECTURE_KEY
from coronet_core.common.paper import PAPER
from coronet_core.common.weights import read_metadata
from tasks.report.cases import listed, read_cases
from tasks.report.gallery import gallery
from tasks.report.pages import interval_name, write_page
from tasks.report.plots.attribution_maps import MAP_NAMES
from tasks.report.plots.drawing import Drawing
from tasks.report.report_figures import report_figures
from tasks.report.wording import Beside, Tested, words
from tasks.runtime.files import publish_folder, read_json
from tasks.runtime.paths import (
    AUDIT,
    EXPLANATION_MEASURES,
    FIGURES,
    IMAGE_NAMES,
    METRICS,
    MODEL_CARD,
    REPORT,
    SPLIT_REPORT,
    SPLIT_STAGE,
    STATE,
    autoencoder_weights,
)
from tasks.runtime.progress import log
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.provenance import code_version, commit_date, dvc_hashes_of_deps, library_versions
from tasks.runtime.tracking.stage_run import flattened
from tasks.training.trained_precision import FORMAT_NAMES, training_formats

CODE = ("coronet_core", "tasks")
SECTIONS: Final = {
    "results": "Results on the test split",
    "gallery": "Errors and uncertain images",
    "cases": "All test images",
    "subgroups": "Subgroups",
    "calibration": "Calibration and abstention",
    "audit": "Shortcuts",
    "explanations": "Attribution maps",
    "residuals": "Residuals",
    "training": "Training",
    "data": "Data",
    "provenance": "Provenance",
}
"""Sections of the page and their headings; `templates/sections` has a file for each. The first one is open."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a report was made from. Unknown values are None or empty."""

    commit: str
    has_local_changes: bool
    committed_at: str | None
    data: dict[str, str]
    """DVC's MD5 of raw data, outs and reports by path."""
    code: dict[str, str]
    """DVC's MD5 of the code of the first and the last stage, by path."""
    versions: dict[str, str]
    device: str
    machine: str
    run_id: str | None
    """Id of the MLflow run of the stage `report`."""
    parent_run_id: str | None
    """Id of the MLflow run of the pipeline."""
    written_at: str
    """Time in UTC. Only this and the ids of the runs differ when the same report is made again."""


def provenance(context: StageContext) -> Provenance:
    """Return the provenance of the running stage of `context`."""
    version = code_version()
    hashes = dvc_hashes_of_deps(SPLIT_STAGE, context.name)
    code = {path: md5 for path, md5 in hashes.items() if path.startswith(CODE)}
    return Provenance(
        commit=version["git.commit"],
        has_local_changes=version.get("git.dirty") == "true",
        committed_at=commit_date(),
        data={path: md5 for path, md5 in sorted(hashes.items()) if path not in code},
        code=dict(sorted(code.items())),
        versions=library_versions(),
        device=_device_name(context.device_type),
        machine=f"{platform.system()} on {platform.machine()}",
        run_id=context.tracking.run_id,
        parent_run_id=context.tracking.parent_run_id,
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _device_name(device_type: str) -> str:
    return f"cuda ({torch.cuda.get_device_name()})" if device_type == "cuda" else device_type


def run(context: StageContext) -> None:
    """Draw the figures and render the templates."""
    context.tracking.deliver()  # now, so that the page can give the id of its own run
    metrics, split, audit, explanations = map(read_json, (METRICS, SPLIT_REPORT, AUDIT, EXPLANATION_MEASURES))
    cases = read_cases(metrics["out_of_distribution"]["threshold"])
    drawings = report_figures(metrics, audit, explanations, context.params)
    content: dict[str, Any] = {
        "paper": PAPER,
        "tested": Tested("test images", row="this run", names_file=str(IMAGE_NAMES)),
        "beside": Beside("paper", "The paper's figures come from other images.", PAPER),
        "sections": SECTIONS,
        "metrics": metrics,
        "split": split,
        "audit": audit,
        "views": VIEW_NAMES,
        "explanations": explanations,
        "methods": MAP_NAMES,
        "warnings": [*split["warnings"], *metrics["warnings"]],
        "evaluate": context.params.evaluate,
        "explain": context.params.explain,
        "interval_name": interval_name(context.params.evaluate.confidence),
        "figures": drawings,
        "gallery": gallery(cases, context.params.residuals),
        "cases": listed(cases),
        "params": flattened(asdict(context.params)),
        "is_papers_autoencoder": ARCHITECTURE_KEY not in read_metadata(autoencoder_weights("healthy")),
        "is_from_random_weights": context.params.autoencoder.pretrained is None,
        "made": provenance(context),
        "training_formats": {name: FORMAT_NAMES[found] for name, found in training_formats().items()},
        "worst_group": _worst_group(metrics["subgroups"]),
    }
    write_page(REPORT, "report.html.j2", content)
    write_page(MODEL_CARD, "model_card.md.j2", content)
    _write_figures(drawings)
    for path in (REPORT, MODEL_CARD, *sorted(FIGURES.iterdir())):
        context.tracking.artifact(path)
    log(f"report: {REPORT}")


def _worst_group(subgroups: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any] | None:
    """Return the group with the lowest accuracy among those that are not small, if any."""
    large = [
        {"name": f"{words(grouping)} {name}", **figures}
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
