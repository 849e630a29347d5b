"""What a flow shows on Prefect's page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from flows.monitoring import artifacts
from tasks.promotion.run_differences import Against, Difference
from tasks.report.alternative_text import ALT_KEY
from tasks.report.plots.classification import confusion
from tasks.runtime.paths import AUDIT, FIGURES, METRICS
from tasks.runtime.tracking.stage_run import StageRun

AGAINST_FORMER = Against(
    name="the previous run",
    figures=(Difference(title="accuracy", last=0.9, other=0.8, difference=0.1, interval=(-0.02, 0.2)),),
)


@pytest.fixture
def created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Contents by key of the artifacts of a run."""
    monkeypatch.chdir(tmp_path)
    by_class, intervals = dict.fromkeys(CLASSES, 0.75), {label: [0.5, 0.875] for label in CLASSES}
    metrics: dict[str, Any] = dict.fromkeys(
        ("accuracy", "precision", "recall", "f1_score", "balanced_accuracy"), 0.8125
    )
    metrics |= {"images": 16, "patients": 12, "accuracy_interval": [0.5625, 0.9375], "warnings": ["Few images."]}
    for key in ("sensitivity", "specificity", "ppv"):
        metrics |= {key: by_class | {"covid19": None}, f"{key}_interval": intervals | {"covid19": None}}
    metrics |= {
        "roc_auc": {"macro": 0.875},
        "pr_auc": {"macro": None},
        "confusion_matrix": [[8, 1, 0], [0, 4, 1], [0, 0, 2]],
    }
    metrics["intervals"] = {key: [0.5, 0.9] for key in ("precision", "recall", "f1_score", "balanced_accuracy")}
    metrics["intervals"] |= {"roc_auc": {"macro": [0.75, 0.9]}, "pr_auc": {"macro": None}}
    audit = {"verdict": {"passed": False, "findings": ["Half of the skill is the border's."]}, "remarks": []}
    for path, content in ((METRICS, metrics), (AUDIT, audit)):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    FIGURES.mkdir()
    (FIGURES / "confusion.png").write_bytes(confusion(np.eye(3, dtype=np.int64)).png)
    found: dict[str, Any] = {}
    for function in ("create_markdown_artifact", "create_table_artifact"):
        monkeypatch.setattr(artifacts, function, lambda content, key, **_: found.update({key: content}))
    with StageRun("pipeline", {}) as run:
        artifacts.publish_artifacts(run, [AGAINST_FORMER, Against(name="the champion", reason="there is none | yet.")])
    return found


def test_the_summary_holds_tables_verdict_and_warnings(created: dict[str, Any]) -> None:
    summary = created["report"]
    assert "| this run | 81.25 (56.2–93.8) |" in summary
    assert "| paper | 93.50 | 93.63 | 93.50 | 93.51 |" in summary
    heads = " | ".join(DISPLAY_NAMES.values())
    this_run = "| this run | 75.00 (50.0–87.5) | 75.00 (50.0–87.5) | – (–) |"
    assert f"| Table 3, sensitivity (%) | {heads} |\n|---|---:|---:|---:|\n{this_run}\n| paper | 95.48 |" in summary
    assert f"| Specificity (%) | {heads} |\n|---|---:|---:|---:|\n{this_run}\n\n" in summary
    assert "| Healthy | 8 | 1 | 0 |" in summary
    assert "Shortcut audit: not passed" in summary
    assert "- Half of the skill is the border's." in summary
    assert "- Few images." in summary
    assert str(Path("reports/report.html").resolve()) in summary


def test_differences_from_other_runs_are_a_table_and_so_is_why_there_are_none(created: dict[str, Any]) -> None:
    assert created["differences"] == [
        {
            "against": "the previous run",
            "figure": "accuracy",
            "last run": "0.900",
            "the other": "0.800",
            "difference": "0.100 (−0.020 to 0.200)",
        },
        {"against": "the champion", "figure": "not compared: there is none \\| yet."},
    ]


def test_the_table_holds_figures_with_intervals(created: dict[str, Any]) -> None:
    rows = {row["figure"]: (row["value"], row["interval"]) for row in created["metrics"]}
    assert rows["accuracy (%)"] == ("81.25", "56.2–93.8")
    assert rows["sensitivity, COVID-19 (%)"] == ("–", "–")
    assert rows["macro ROC-AUC"] == ("0.875", "0.750 to 0.900")


def test_charts_of_mlflow_get_what_the_paper_and_radiologists_count_by(created: dict[str, Any]) -> None:
    assert created
    found = artifacts.headline_figures()
    for name in ("sensitivity.healthy", "specificity.healthy"):
        assert [found[name], found[f"{name}.low"], found[f"{name}.high"]] == [0.75, 0.5, 0.875]
    assert "specificity.covid19" not in found, "undefined here"


def test_figures_need_no_file_and_no_network(created: dict[str, Any]) -> None:
    assert created["figures"].startswith("### confusion\n\n![Confusion matrix: images of each true class")
    assert "](data:image/png;base64,iVBOR" in created["figures"]


def test_a_run_without_a_server_says_how_to_see_it(created: dict[str, Any]) -> None:
    assert "in `sqlite:///mlflow.db`: `make mlflow` shows it." in created["mlflow-run"]


def test_the_text_of_a_figure_is_no_markup(tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text(ALT_KEY, "x](javascript:alert(1)) | **y**")
    Image.new("L", (1, 1)).save(tmp_path / "a_[b](c).png", pnginfo=text)
    shown = artifacts._figure(tmp_path / "a_[b](c).png")
    assert shown.startswith("### a \\[b\\](c)\n\n![x\\](javascript:alert(1)) \\| \\*\\*y\\*\\*](data:image/png;base64,")
