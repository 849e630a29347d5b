"""The tables on the terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

from coronet_core.common.classes import CLASSES
from flows.project.summary import print_tables


def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], interval: list[float] | None) -> str:
    metrics: dict[str, Any] = dict.fromkeys(
        ("accuracy", "precision", "recall", "f1_score", "balanced_accuracy"), 0.8125
    )
    metrics |= {"accuracy_interval": [0.5625, 0.9375], "confusion_matrix": [[8, 1, 0], [0, 4, 1], [0, 0, 2]]}
    for key, share in (("sensitivity", 0.75), ("specificity", 0.9), ("ppv", 0.5)):
        metrics |= {key: dict.fromkeys(CLASSES, share), f"{key}_interval": dict.fromkeys(CLASSES, interval)}
    metrics |= {
        "roc_auc": {"macro": 0.875},
        "intervals": {"balanced_accuracy": interval, "roc_auc": {"macro": interval}},
    }
    metrics |= {"calibration": {"before": {"ece": 0.25}, "after": {"ece": 0.125}}}
    metrics |= {"abstention": {"abstained": {"share": 0.0625, "interval": interval}}}
    verdict = {"passed": False, "findings": ["Half of the skill is the border's."]}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "audit.json").write_text(json.dumps({"verdict": verdict}))
    print_tables(tmp_path / "metrics.json", tmp_path / "audit.json")
    return " ".join(capsys.readouterr().out.split())


def test_how_far_figures_can_be_trusted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(tmp_path, capsys, [0.5, 0.9])
    assert "Balanced accuracy 81.25% (50.0–90.0), macro ROC-AUC 0.875 (0.500–0.900)" in said
    assert "Calibration error (ECE) 0.250 uncalibrated, 0.125 calibrated" in said
    assert "6.25% (50.0–90.0) of the images need a human reader" in said
    assert "Shortcut audit: not passed Half of the skill is the border's." in said


def test_each_class_has_its_sensitivity_and_its_specificity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(tmp_path, capsys, [0.5, 0.9]).replace("│", " ")
    cells = {"Sensitivity": "75.00", "Specificity": "90.00", "PPV": "50.00"}
    for row, share in cells.items():
        assert f"{row} {' '.join([f'{share} (50.0–90.0)'] * 3)}" in " ".join(said.split())


def test_an_interval_that_does_not_exist_is_a_dash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "macro ROC-AUC 0.875 (–)" in printed(tmp_path, capsys, None)
