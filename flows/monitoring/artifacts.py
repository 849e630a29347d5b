"""What flows show on Prefect's page: tables, verdict and figures of a report, and decisions on versions."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from coronet_core.common.paper import PAPER
from tasks.promotion.run_differences import Against
from tasks.report.alternative_text import ALT_KEY
from tasks.report.pages import environment, number, numbers, percent, percents
from tasks.report.wording import words
from tasks.runtime.files import read_json
from tasks.runtime.paths import AUDIT, FIGURES, METRICS, REPORT
from tasks.runtime.safe_text.markdown import plain
from tasks.runtime.tracking.mlflow_delivery import page_of_run, shown_tracking_uri
from tasks.runtime.tracking.stage_run import StageRun

if TYPE_CHECKING:  # torch takes two seconds
    from tasks.promotion.promote_version import Judgement
    from tasks.promotion.restore_champion import Rollback

SUMMARY_KEY: Final = "report"
METRICS_KEY: Final = "metrics"
FIGURES_KEY: Final = "figures"
DIFFERENCES_KEY: Final = "differences"
MLFLOW_KEY: Final = "mlflow-run"
DECISION_KEY: Final = "promotion"
DECIDED_FIGURES_KEY: Final = "promotion-figures"
ROLLBACK_KEY: Final = "rollback"


def publish_artifacts(run: StageRun, against: Sequence[Against]) -> None:
    """Create the artifacts of `run`, of the report in the current folder and of its comparisons with other runs.

    To be called in a flow, behind its stages.

    Figures go along as data URIs in Markdown: the page shows them without this machine's files and without a network.
    """
    metrics, audit = map(read_json, (METRICS, AUDIT))
    create_markdown_artifact(_summary(metrics, audit), key=SUMMARY_KEY, description="Tables 2 to 5 and the verdict")
    create_table_artifact(_rows(metrics), key=METRICS_KEY, description="Figures on the test split with intervals")
    figures = [_figure(path) for path in sorted(FIGURES.glob("*.png"))]
    create_markdown_artifact("\n\n".join(figures), key=FIGURES_KEY, description="The figures of the report")
    create_table_artifact(_differences(against), key=DIFFERENCES_KEY, description="The same test images, other runs")
    _link_mlflow(run)


def headline() -> str:
    """Return what the last run came to, in one line."""
    metrics, audit = map(read_json, (METRICS, AUDIT))
    accuracy = f"accuracy {percent(metrics['accuracy'])}% ({percents(metrics['accuracy_interval'])})"
    verdict = "passed" if audit["verdict"]["passed"] else "not passed"
    return f"{accuracy}, macro ROC-AUC {number(metrics['roc_auc']['macro'])}, shortcut audit {verdict}"


def headline_figures() -> dict[str, float]:
    """Return the last run's figures on the test split with their intervals, as MLflow's charts take them."""
    metrics = read_json(METRICS)
    intervals = metrics["intervals"]
    found = {
        "accuracy": (metrics["accuracy"], metrics["accuracy_interval"]),
        "balanced_accuracy": (metrics["balanced_accuracy"], intervals["balanced_accuracy"]),
        "roc_auc.macro": (metrics["roc_auc"]["macro"], intervals["roc_auc"]["macro"]),
    }
    for key in ("sensitivity", "specificity"):
        for label in CLASSES:
            found[f"{key}.{label}"] = metrics[key][label], metrics[f"{key}_interval"][label]
    named = {
        name: value
        for key, (value, interval) in found.items()
        for name, value in zip((key, f"{key}.low", f"{key}.high"), (value, *(interval or (None, None))), strict=True)
    }
    return {name: float(value) for name, value in named.items() if value is not None}


def _link_mlflow(run: StageRun) -> None:
    run.deliver()
    page = run.run_id and page_of_run(run.run_id)
    if page:
        create_link_artifact(
            page, link_text=f"MLflow run {run.run_id}", key=MLFLOW_KEY, description="The run on record"
        )
    else:
        where = f"Run `{run.run_id}` in `{shown_tracking_uri()}`: `make mlflow` shows it."
        missing = "No MLflow server has received the run yet; its record is kept and sent later."
        create_markdown_artifact(where if run.run_id else missing, key=MLFLOW_KEY, description="The run on record")


def as_markdown(judgement: "Judgement") -> str:
    """Return the decision with every rule and its reason."""
    content = {
        "version": judgement.version.number,
        "champion": None if judgement.champion is None else judgement.champion.number,
        "decision": judgement.decision,
        "outcome": "meets every rule" if judgement.decision.passed else "refused",
    }
    return environment().get_template("promotion.md.j2").render(content)


def publish_decision(judgement: "Judgement") -> None:
    """Create the artifacts of a decision; to be called in a flow."""
    description = f"Whether version {judgement.version.number} may become the champion"
    create_markdown_artifact(as_markdown(judgement), key=DECISION_KEY, description=description)
    figures = judgement.decision.figures.items()
    rows = [{"figure": name, "value": "–" if value is None else f"{value:.4f}"} for name, value in figures]
    create_table_artifact(
        rows, key=DECIDED_FIGURES_KEY, description=f"What the gate judged of version {judgement.version.number}"
    )


def publish_rollback(found: "Rollback", reason: str) -> None:
    """Create the artifact of a rollback; to be called in a flow."""
    text = (
        f"### Version {found.restored.number} is the champion again\n\nVersion {found.removed.number} was rolled back: "
    )
    create_markdown_artifact(text + plain(reason), key=ROLLBACK_KEY, description="Why a champion was rolled back")


def _summary(metrics: dict[str, Any], audit: dict[str, Any]) -> str:
    content = {"metrics": metrics, "audit": audit, "paper": PAPER, "report": REPORT.resolve()}
    return environment().get_template("summary.md.j2").render(content)


def _rows(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """Return a row a figure. Shares are in percent."""
    intervals = metrics["intervals"]
    rows = [
        ("accuracy (%)", percent(metrics["accuracy"]), percents(metrics["accuracy_interval"])),
        ("balanced accuracy (%)", percent(metrics["balanced_accuracy"]), percents(intervals["balanced_accuracy"])),
    ]
    for key, title in (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ppv", "PPV")):
        rows += [
            (f"{title}, {name} (%)", percent(metrics[key][label]), percents(metrics[f"{key}_interval"][label]))
            for label, name in DISPLAY_NAMES.items()
        ]
    for key, title in (("roc_auc", "macro ROC-AUC"), ("pr_auc", "macro PR-AUC")):
        rows.append((title, number(metrics[key]["macro"]), numbers(intervals[key]["macro"])))
    return [{"figure": name, "value": value, "interval": interval} for name, value, interval in rows]


def _differences(against: Sequence[Against]) -> list[dict[str, str]]:
    """Return a row a figure and run, or a row that says why there is none."""
    rows = []
    for one in against:
        rows += [
            {
                "against": one.name,
                "figure": row.title,
                "last run": number(row.last),
                "the other": number(row.other),
                "difference": f"{number(row.difference)} ({numbers(row.interval)})",
            }
            for row in one.figures
        ]
        if one.reason is not None:
            rows.append({"against": one.name, "figure": f"not compared: {plain(one.reason)}"})
    return rows


def _figure(path: Path) -> str:
    """Return the figure at `path` as Markdown, its text taken from the file."""
    with Image.open(path) as image:
        alt = plain(image.info[ALT_KEY])
    content = base64.b64encode(path.read_bytes()).decode()
    return f"### {plain(words(path.stem))}\n\n![{alt}](data:image/png;base64,{content})"
