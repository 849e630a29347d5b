"""Ablations and cross-validation, for real, on a tiny data set."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from coronet_core.common.classes import CLASSES
from tasks.runtime.paths import (
    ABLATIONS_PAGE,
    ABLATIONS_TABLE,
    METRICS,
    PREDICTIONS,
    cross_validation_page,
    cross_validation_summary,
)
from tests.integration.conftest import Project
from tests.pseudo_terminal import on_a_terminal

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ABLATED = ["raw_image", "without_regulariser"]
ABLATE = ("flows", "ablate", "--only", ABLATED[0], "--only", ABLATED[1])
CROSS_VALIDATE = ("flows", "cross-validate", "--folds", "2", "--until", "evaluate")


@pytest.fixture(scope="module")
def project(finished_project: Project) -> Project:
    return finished_project


@pytest.fixture(scope="module")
def ablated(project: Project) -> "subprocess.CompletedProcess[str]":
    return project.run(*ABLATE)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def stages_run(output: str, variant: str) -> list[str]:
    """The stages of a variant that had something to do."""
    return re.findall(rf"Flow run '\S+ {variant}' - (\S+) +Completed +from", output)


def children(project: Project, study: str) -> dict[str, dict[str, str]]:
    """Statuses of the runs nested under the last run of a study, and of those nested under them."""
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    runs = list(client.search_runs(["1"]))
    parent = max((run for run in runs if run.info.run_name == study), key=lambda run: run.info.start_time)

    def below(run_id: str) -> list[Any]:
        return [run for run in runs if run.data.tags.get("mlflow.parentRunId") == run_id]

    return {
        variant.info.run_name: {stage.info.run_name: stage.info.status for stage in below(variant.info.run_id)}
        for variant in below(parent.info.run_id)
    }


def test_ablations_run_only_what_they_change(ablated: "subprocess.CompletedProcess[str]") -> None:
    assert ablated.returncode == 0, ablated.stdout
    behind = ["train_cin", "calibrate", "evaluate"]
    assert stages_run(ablated.stdout, "raw_image") == behind
    trained = ["train_autoencoder@healthy", "train_autoencoder@pneumonia", "materialize_residuals"]
    assert stages_run(ablated.stdout, "without_regulariser") == trained + behind


@pytest.mark.usefixtures("ablated")
def test_the_table_compares_on_the_same_test_images(project: Project) -> None:
    table = read(project.folder / ABLATIONS_TABLE)
    assert list(table["variants"]) == ["coronet", *ABLATED]
    assert table["variants"]["coronet"]["accuracy"] == read(project.folder / METRICS)["accuracy"]
    ours = pd.read_parquet(project.folder / PREDICTIONS)
    for name in ABLATED:
        theirs = pd.read_parquet(project.folder / ".coronet" / "workspaces" / "ablation" / name / PREDICTIONS)
        assert theirs["image_id"].tolist() == ours["image_id"].tolist()
        assert not theirs["logit_healthy"].equals(ours["logit_healthy"])
        variant = table["variants"][name]
        expected = (ours["label"] == ours["predicted"]).mean() - (theirs["label"] == theirs["predicted"]).mean()
        assert variant["differences"]["accuracy"]["difference"] == pytest.approx(expected)
    assert len(table["conclusions"]) == len(ABLATED)
    assert table["skipped"]["cin_from_scratch"] == "not selected"
    assert "ResNet-18 on the raw image" in (project.folder / ABLATIONS_PAGE).read_text()


@pytest.mark.usefixtures("ablated")
def test_ablations_are_runs_below_the_study(project: Project) -> None:
    runs = children(project, "ablation")
    assert set(runs) == set(ABLATED)
    assert runs["raw_image"] == dict.fromkeys(["train_cin", "calibrate", "evaluate"], "FINISHED")


@pytest.mark.usefixtures("ablated")
def test_the_project_itself_is_left_as_it_was(project: Project) -> None:
    assert "Data and pipelines are up to date." in project.run("dvc", "status").stdout


@pytest.mark.usefixtures("ablated")
def test_ablations_again_run_nothing(project: Project) -> None:
    again = project.run(*ABLATE)
    assert again.returncode == 0, again.stdout
    assert "python -m tasks" not in again.stdout


def test_an_unknown_ablation_is_named_at_once(project: Project) -> None:
    finished = project.run("flows", "ablate", "--only", "raw")
    assert finished.returncode == 1
    assert finished.stdout.startswith("error: raw: unknown ablation. Allowed: raw_image, ")


def test_a_killed_cross_validation_goes_on_with_the_fold_it_was_in(project: Project) -> None:
    with project.start(*CROSS_VALIDATE, start_new_session=True) as process:
        first = project.folder / ".coronet" / "workspaces" / "cross-validation-2-patients" / "fold-1" / METRICS
        while not first.is_file() and process.poll() is None:
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
    environment = project.environment | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "250"}
    shown, code = on_a_terminal([sys.executable, "-m", *CROSS_VALIDATE], project.folder, environment)
    assert code == 0, shown
    assert "train_cin" not in stages_run(shown, "fold-1")
    assert "train_cin" in stages_run(shown, "fold-2")
    assert "fold-2: train_cin" in shown, "the bar"
    assert set(children(project, "cross-validation-2-patients")) == {"fold-1", "fold-2"}


def test_the_folds_test_every_image_once(project: Project) -> None:
    summary = read(project.folder / cross_validation_summary("patients"))
    folds = [project.folder / f".coronet/workspaces/cross-validation-2-patients/fold-{fold}" for fold in (1, 2)]
    predictions = pd.concat([pd.read_parquet(folder / PREDICTIONS) for folder in folds])
    assert summary["images"] == len(predictions) == predictions["image_id"].nunique() == 33
    matrix = [
        [int(((predictions["label"] == row) & (predictions["predicted"] == column)).sum()) for column in CLASSES]
        for row in CLASSES
    ]
    assert summary["pooled"]["confusion_matrix"] == matrix
    accuracies = [read(folder / METRICS)["accuracy"] for folder in folds]
    assert summary["mean"]["accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert summary["patients_in_two_splits"] == 0
    assert "cross-validation in 2 folds" in (project.folder / cross_validation_page("patients")).read_text()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--folds", "20"], "class healthy: 12 patients cannot be in 20 folds"),
        (["--until", "train_cin"], "error: --until train_cin: the folds must be evaluated"),
        (["--until", "evalute"], "error: evalute: no such stage"),
    ],
)
def test_what_cannot_be_folded_is_said(project: Project, arguments: list[str], error: str) -> None:
    finished = project.run("flows", "cross-validate", *arguments)
    assert finished.returncode == 1
    assert error in finished.stdout
