"""The table of a comparison: made of the folders of trainings, and what it says in words."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import DataError
from tasks.calibrate.stage import calibrated
from tasks.evaluate.prediction_table import prediction_table
from tasks.report.study_pages import render_comparison
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import CALIBRATION, PREDICTIONS, SPLIT_REPORT
from tasks.studies.candidate_figures import Workspaces
from tasks.studies.comparison import comparison_table
from tasks.studies.comparison_file import Comparison, params_of, read_comparison
from tests.conftest import PROJECT
from tests.tasks.predictions import predictions
from tests.tasks.test_study_pages import whole

FILE = """
chosen_by: macro_roc_auc
candidates:
  residual: {title: CoroNet, changes: {}}
  image: {title: the <image>, changes: {cin.input: image}}
  both: {title: residual and image, changes: {cin.input: residual_tensor_and_image}}
published:
  - {title: DarkCovidNet, accuracy: 0.8702, images: 1125, unit: images, source: Ozturk et al. 2020}
"""
SEEDS, FOLDS = 3, 2
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.chdir(PROJECT)
    (tmp_path / "mine.yaml").write_text(FILE)
    return read_comparison(tmp_path / "mine.yaml")


def write_training(folder: Path, edge: float, validation_edge: float, fold: int, stream: int) -> None:
    """What the stages leave in the folder of one training: its networks are the better the greater `edge` is."""
    params = read_params().calibrate
    test = predictions(30, 30, 20, seed=stream, edge=edge)
    images = test.images.copy()
    for name in ("image_id", "patient_id", "patient_group"):
        images[name] = f"fold-{fold}-" + images[name]
    calibration = calibrated(predictions(30, 30, 20, seed=stream + 1, edge=validation_edge), params)
    for path in (PREDICTIONS, CALIBRATION, SPLIT_REPORT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    described = type(test)(images=images, truth=test.truth, logits=test.logits)
    prediction_table(described, calibration).to_parquet(folder / PREDICTIONS)
    (folder / CALIBRATION).write_text(json.dumps(asdict(calibration)))
    (folder / SPLIT_REPORT).write_text(json.dumps({"warnings": ["one source"], "patients_in_two_splits": 0}))


def write_all(folder: Path, edges: dict[str, float], validation_edges: dict[str, float]) -> dict[str, Workspaces]:
    folders = {
        name: [[folder / name / f"{fold}-{seed}" for fold in range(FOLDS)] for seed in range(SEEDS)] for name in edges
    }
    for place, (name, of_seeds) in enumerate(folders.items()):
        for seed, of_folds in enumerate(of_seeds):
            for fold, training in enumerate(of_folds):
                stream = 100 * place + 10 * seed + fold
                write_training(training, edges[name], validation_edges[name], fold, stream)
    return folders


@pytest.fixture
def table(comparison: Comparison, tmp_path: Path) -> Make:
    def make(**edges: float) -> dict[str, Any]:
        validation = {name: edges.pop(f"{name}_validation", edges[name]) for name in list(comparison.candidates)}
        folders = write_all(tmp_path / "trainings", edges, validation)
        return comparison_table(folders, comparison, params_of(comparison), "patients")

    return make


def test_figures_are_of_all_folds_and_areas_the_mean_of_the_folds(table: Make, tmp_path: Path) -> None:
    found = table(residual=1.0, image=1.0, both=1.0)["candidates"]["image"]
    accuracies, areas = [], []
    for seed in range(SEEDS):
        folds = [
            pd.read_parquet(tmp_path / "trainings/image" / f"{fold}-{seed}" / PREDICTIONS) for fold in range(FOLDS)
        ]
        pooled = pd.concat(folds)
        accuracies.append((pooled["label"] == pooled["predicted"]).mean())
        areas.append(
            np.mean(
                [
                    np.mean([roc_auc_score(fold["label"] == label, fold[f"probability_{label}"]) for label in CLASSES])
                    for fold in folds
                ]
            )
        )
    assert found["by_seed"]["accuracy"] == pytest.approx(accuracies)
    assert found["by_seed"]["macro_roc_auc"] == pytest.approx(areas)
    assert found["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert found["sd"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    low, high = found["intervals"]["accuracy"]
    assert low < found["mean"]["accuracy"] < high


def test_each_class_has_its_sensitivity_and_specificity_as_means_of_the_seeds(table: Make, tmp_path: Path) -> None:
    found = table(residual=1.0, image=1.0, both=1.0)["candidates"]["image"]
    for label in CLASSES:
        detected, cleared = [], []
        for seed in range(SEEDS):
            folds = [
                pd.read_parquet(tmp_path / "trainings/image" / f"{fold}-{seed}" / PREDICTIONS) for fold in range(FOLDS)
            ]
            pooled = pd.concat(folds)
            is_of_class, is_taken = pooled["label"] == label, pooled["predicted"] == label
            detected.append(is_taken[is_of_class].mean())
            cleared.append((~is_taken[~is_of_class]).mean())
        assert found["sensitivity"][label] == pytest.approx(np.mean(detected))
        assert found["specificity"][label] == pytest.approx(np.mean(cleared))


def test_a_candidate_that_is_better_is_said_to_be(table: Make) -> None:
    found = table(residual=0.5, image=2.5, both=2.5)
    low, _ = found["candidates"]["image"]["differences"]["accuracy"]["interval"]
    assert low > 0
    assert found["conclusions"][0].startswith("The <image>, compared with CoroNet: its accuracy is ")
    assert "percentage points higher (interval" in found["conclusions"][0]
    assert "differences" not in found["candidates"]["residual"]
    alone = found["residual"][1]
    assert alone["answer"] == "The residual alone is worse than the raw image."
    assert alone["details"].startswith("CoroNet, compared with the <image>: its accuracy is ")
    assert "percentage points lower (interval" in alone["details"]


@pytest.mark.parametrize(
    ("both", "answer"),
    [
        (1.0, "The residual adds nothing to the raw image beyond chance."),
        (3.0, "The residual adds to the raw image."),
        (0.1, "The residual, added to the raw image, makes it worse."),
    ],
)
def test_what_the_residual_adds_to_the_image_is_said_first(table: Make, both: float, answer: str) -> None:
    found = table(residual=1.0, image=1.0, both=both)
    assert found["residual"][0]["candidate"] == "both"
    assert found["residual"][0]["image"] == "image"
    assert found["residual"][0]["answer"] == answer
    assert found["residual"][0]["details"].startswith("Residual and image, compared with the <image>: its accuracy is ")


def test_the_validation_folds_choose_whatever_the_test_folds_say(table: Make) -> None:
    found = table(residual=1.0, image=3.0, both=0.5, residual_validation=1.0, image_validation=0.5, both_validation=3.0)
    assert found["chosen"] == "both"
    accuracy = 100 * found["candidates"]["both"]["mean"]["accuracy"]
    assert found["choice"].startswith("By macro ROC-AUC the validation folds choose residual and image (0.9")
    assert f"On the test folds it has accuracy {accuracy:.1f}%" in found["choice"]


def test_other_test_images_are_refused(comparison: Comparison, tmp_path: Path) -> None:
    edges = dict.fromkeys(comparison.candidates, 1.0)
    folders = write_all(tmp_path / "trainings", edges, edges)
    write_training(folders["both"][2][1], 1.0, 1.0, fold=7, stream=5)
    with pytest.raises(DataError, match=r"both/0-2: its test images have changed\. Delete .*both and try again"):
        comparison_table(folders, comparison, params_of(comparison), "patients")


def test_the_page(table: Make, tmp_path: Path) -> None:
    found = table(residual=1.0, image=1.5, both=1.5)
    render_comparison(json.loads(json.dumps(found)), tmp_path / "page.html")
    page = whole((tmp_path / "page.html").read_text())
    assert page.count("<img") == 3
    assert "the &lt;image&gt;" in page
    assert f"<li><strong>{found['residual'][0]['answer']}</strong> Residual and image, compared with the" in page
    assert "published: Ozturk et al. 2020; 1125 images, split by images, so not comparable with these" in page
    assert "<td>87.02</td>" in page
    assert "in 2 folds of patients with 3 seeds" in page
    assert "cin.input = image" in page
    assert "one source" in page


def test_the_page_says_that_one_seed_says_nothing_of_seeds(comparison: Comparison, tmp_path: Path) -> None:
    edges = dict.fromkeys(comparison.candidates, 1.0)
    folders = {name: of_seeds[:1] for name, of_seeds in write_all(tmp_path / "trainings", edges, edges).items()}
    found = comparison_table(folders, comparison, params_of(comparison), "images")
    assert found["candidates"]["image"]["sd"]["accuracy"] is None
    render_comparison(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "but not the random numbers of the trainings, as there is one seed" in page
    assert "so not comparable" not in page
