"""Pages of the studies."""

import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from coronet_core.common.classes import CLASSES
from tasks.report.search_page import render_search
from tasks.report.study_pages import render_ablations, render_cross_validation

DETECTION = "<td>50.00</td><td>50.00</td><td>{}</td><td>87.50</td><td>87.50</td><td>87.50</td></tr>"
"""Cells of sensitivity and of specificity."""


def variant(title: str, difference: float | None, area: float | None = 0.9) -> dict[str, Any]:
    described: dict[str, Any] = {
        "title": title,
        "changes": {"cin.input": "image"},
        "accuracy": 0.8125,
        "accuracy_interval": [0.7, 0.9],
        "balanced_accuracy": 0.75,
        "macro_roc_auc": area,
        "own_class_margin": {"roc_auc": area, "roc_auc_interval": None if area is None else [0.625, 0.75]},
        "sensitivity": dict.fromkeys(CLASSES, 0.5) | {"covid19": None},
        "specificity": dict.fromkeys(CLASSES, 0.875),
    }
    if difference is not None:
        found = {"difference": difference, "interval": [difference - 0.1, difference + 0.1], "share_above_zero": 0.25}
        described["differences"] = {"accuracy": found, "balanced_accuracy": found}
    return described


@pytest.fixture
def ablations() -> dict[str, Any]:
    return {
        "reference": "coronet",
        "images": 40,
        "patients": 30,
        "confidence": 0.95,
        "variants": {"coronet": variant("CoroNet", None), "image": variant("the image <alone>", -0.025, None)},
        "skipped": {"scratch": "it is the run itself"},
        "conclusions": ["The autoencoders are worth nothing here."],
    }


@pytest.fixture
def folds() -> dict[str, Any]:
    measures = ("accuracy", "balanced_accuracy", "precision", "recall", "f1_score", "macro_roc_auc")
    of_fold = {"sensitivity": dict.fromkeys(CLASSES, 0.5), "specificity": dict.fromkeys(CLASSES, 0.875)}
    fold = dict.fromkeys(measures, 0.75) | {"images": 12} | of_fold
    by_class = dict.fromkeys(CLASSES, 0.6)
    intervals = {label: [0.4, 0.8] for label in CLASSES}
    return {
        "folds": 2,
        "unit": "patients",
        "images": 24,
        "patients": 20,
        "confidence": 0.9,
        "by_fold": [fold | {"fold": 1}, fold | {"fold": 2, "macro_roc_auc": None, "balanced_accuracy": 0.25}],
        "mean": dict.fromkeys(measures, 0.7),
        "sd": dict.fromkeys(measures, 0.125) | {"macro_roc_auc": None},
        "pooled": {
            "accuracy": 0.7,
            "accuracy_interval": [0.6, 0.8],
            "balanced_accuracy": 0.65,
            "intervals": {
                "accuracy": [0.55, 0.85],
                "balanced_accuracy": [0.5, 0.75],
                "sensitivity": {"healthy": [0.3, 0.9], "pneumonia": [0.35, 0.95], "covid19": None},
                "specificity": {label: [0.25, 1.0] for label in CLASSES},
            },
            "sensitivity": by_class | {"covid19": None},
            "sensitivity_interval": intervals | {"covid19": None},
            "specificity": by_class,
            "specificity_interval": intervals,
            "ppv": by_class,
            "ppv_interval": intervals,
            "confusion_matrix": [[8, 0, 0], [1, 7, 0], [0, 0, 8]],
        },
        "patients_in_two_splits": 0,
        "warnings": ["Fold 2 has no COVID-19 image."],
    }


def whole(page: str) -> str:
    """The page, once it is sure that it needs nothing else and that every picture has a text."""
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,|#)|<script[^>]|https?://', page) == []
    assert page.count("<script") == 1, "the page's own"
    assert page.count("<img") == len(re.findall(r'<img src="[^"]+" alt="[^"]+"', page)) > 0
    assert "not a medical device" in page
    return page


def test_the_page_of_ablations(ablations: dict[str, Any], tmp_path: Path) -> None:
    render_ablations(ablations, tmp_path / "reports" / "ablations.html")
    page = whole((tmp_path / "reports" / "ablations.html").read_text())
    assert "<td>−0.025<small>−0.125 to 0.075</small><small>(25%)</small></td>" in page
    assert "the image &lt;alone&gt;: -0.025 (-0.125 to 0.075)" in page, "in the figure's text"
    assert "The autoencoders are worth nothing here." in page
    assert "not run: it is the run itself" in page
    assert "<td>81.25<small>70.0–90.0</small></td>" in page
    assert "<td>0.900<small>0.625 to 0.750</small></td>" in page, "of the autoencoders"
    assert f"the image &lt;alone&gt;</th>{DETECTION.format('–')}" in page


def test_a_page_of_two_sections_is_open(ablations: dict[str, Any], tmp_path: Path) -> None:
    render_ablations(ablations, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<section") == page.count("<details open><summary><h2>") == 2


def test_an_area_that_is_not_known_has_no_difference(ablations: dict[str, Any], tmp_path: Path) -> None:
    render_ablations(ablations, tmp_path / "page.html")
    assert 'alt="Macro ROC-AUC' not in (tmp_path / "page.html").read_text()


def test_the_page_of_a_cross_validation(folds: dict[str, Any], tmp_path: Path) -> None:
    render_cross_validation(folds, tmp_path / "page.html")
    page = whole((tmp_path / "page.html").read_text())
    assert "Fold 2 has no COVID-19 image." in page
    assert "Balanced accuracy: mean 0.700, folds from 0.250 to 0.750" in page
    assert "All images of a patient are in one fold." in page
    assert '90% interval <span class="whole">60.0–80.0</span>' in page
    assert '<dt>COVID-19 specificity</dt><dd class="value">60.00%</dd>' in page
    assert "<td>0.125</td>" in page
    assert f"fold 2</th>{DETECTION.format('50.00')}" in page
    assert page.index("specificity</th><td>60.00<small>40.0–80.0</small></td>") > page.index("sensitivity</th>")


def test_the_page_of_a_cross_validation_has_intervals_over_patients(folds: dict[str, Any], tmp_path: Path) -> None:
    render_cross_validation(folds, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "accuracy: 55.0–85.0</small></caption>" in page
    assert "sensitivity</th><td>30.0–90.0</td><td>35.0–95.0</td><td>–</td></tr>" in page
    assert f"specificity</th>{3 * '<td>25.0–100.0</td>'}</tr>" in page


def test_patients_in_two_splits_are_told_first(folds: dict[str, Any], tmp_path: Path) -> None:
    render_cross_validation(folds | {"unit": "images", "patients_in_two_splits": 7}, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index("7 patients are in more than one split") < page.index("<main>")


def search(n_trials: int, **study: Any) -> optuna.Study:
    found = optuna.create_study(study_name="<mine>", **study)

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("cin.learning_rate", 0.001, 0.1)
        trial.suggest_categorical("cin.horizontal_flip", ["[]", '["healthy", "pneumonia", "covid19"]'])
        trial.report(rate, 1)
        if trial.number == 1:
            trial.set_user_attr("error", "training has diverged <here>")
            raise ValueError
        return 10 * rate

    found.optimize(objective, n_trials=n_trials, catch=ValueError)
    return found


def test_the_page_of_a_search(tmp_path: Path) -> None:
    study = search(15, sampler=optuna.samplers.RandomSampler(seed=1))
    render_search(study, "validation_loss", tmp_path / "page.html")
    page = whole((tmp_path / "page.html").read_text())
    assert "hyperparameter search &lt;mine&gt;" in page
    assert (
        f"15 trials by validation loss, to be minimized: 14 complete, 1 fail. Best: trial {study.best_trial.number}"
        in page
    )
    assert "training has diverged &lt;here&gt;" in page
    assert page.count("<img") == 4
    rows = [float(text) for text in re.findall(r"<td>complete</td><td>([\d.]+)</td>", page)]
    assert rows == sorted(rows)
    assert len(rows) == 14


def test_importances_need_more_than_a_few_trials(tmp_path: Path) -> None:
    render_search(search(3, direction="maximize"), "validation_accuracy", tmp_path / "page.html")
    page = whole((tmp_path / "page.html").read_text())
    assert "Too few trials to say which params matter." in page
    assert page.count("<img") == 3
