"""A comparison, for real, on a tiny data set: killed in the middle and resumed."""

import os
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient

from tasks.runtime.paths import PREDICTIONS, autoencoder_weights, comparison_page, comparison_table_file
from tests.integration.conftest import Project
from tests.integration.hosts import wait_for
from tests.integration.test_studies import children, read, stages_run

pytestmark = [pytest.mark.integration, pytest.mark.slow]
FILE = """
candidates:
  residual: {title: CoroNet, changes: {}}
  image: {title: raw images, changes: {cin.input: image}}
"""
COMPARE = ("flows", "compare", "--candidates", "mine.yaml", "--folds", "2", "--seeds", "2")
STUDY = "comparison-mine-2-patients"
WORKSPACES = Path(".coronet/workspaces") / STUDY
BEHIND = ["train_cin", "calibrate", "evaluate"]


@pytest.fixture(scope="module")
def ended(project: Project) -> "subprocess.CompletedProcess[str]":
    """What a comparison said that was asked to end while it trained."""
    (project.folder / "mine.yaml").write_text(FILE)
    project.set_params({"evaluate": {"bootstrap_replicates": 100}, "autoencoder": {"epochs": 4000}})
    with project.start(*COMPARE) as process:
        wait_for(process, "epoch 1/4000")
        below = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        output, _ = process.communicate(timeout=120)
    assert psutil.wait_procs(below, timeout=30)[1] == []
    project.set_params({"autoencoder": {"epochs": 4}})
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def test_a_comparison_that_is_asked_to_end_does_so_at_once(ended: "subprocess.CompletedProcess[str]") -> None:
    assert ended.returncode == -signal.SIGTERM, ended.stdout
    assert "variants done" not in ended.stdout


@pytest.fixture(scope="module")
def killed(project: Project, ended: "subprocess.CompletedProcess[str]") -> Project:
    """A project whose comparison was killed when three of its eight trainings were done."""
    assert ended.returncode != 0
    lines = []
    with project.start(*COMPARE, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "3 of 8 variants done" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
    assert re.search(r"3 of 8 variants done, 0:\d\d:\d\d elapsed, about 0:\d\d:\d\d left", lines[-1]), "".join(lines)
    return project


@pytest.fixture(scope="module")
def compared(killed: Project) -> "subprocess.CompletedProcess[str]":
    finished = killed.run(*COMPARE)
    assert finished.returncode == 0, finished.stdout
    return finished


def predictions(project: Project, candidate: str, seed: int) -> pd.DataFrame:
    folds = [project.folder / WORKSPACES / f"{candidate}-fold-{fold}-seed-{seed}" / PREDICTIONS for fold in (1, 2)]
    return pd.concat([pd.read_parquet(path) for path in folds], ignore_index=True)


def test_a_killed_comparison_goes_on_where_it_was(compared: "subprocess.CompletedProcess[str]") -> None:
    for done in ("residual-fold-1-seed-0", "residual-fold-2-seed-0", "image-fold-1-seed-0"):
        assert stages_run(compared.stdout, done) == []
    for left in ("residual-fold-2-seed-1", "image-fold-1-seed-1", "image-fold-2-seed-1"):
        assert stages_run(compared.stdout, left) == BEHIND
    assert "8 of 8 variants done" in compared.stdout


@pytest.mark.usefixtures("compared")
def test_the_autoencoders_are_trained_once_a_fold(project: Project) -> None:
    runs = MlflowClient(f"sqlite:///{project.folder}/mlflow.db").search_runs(["1"])
    names = [run.info.run_name for run in runs if run.info.status == "FINISHED"]
    for stage in ("build_split", "train_autoencoder@healthy", "train_autoencoder@pneumonia", "materialize_residuals"):
        assert names.count(stage) == 2, stage
    weights = {
        fold: {
            (
                project.folder / WORKSPACES / f"{candidate}-fold-{fold}-seed-{seed}" / autoencoder_weights("healthy")
            ).read_bytes()
            for candidate in ("residual", "image")
            for seed in (0, 1)
        }
        for fold in (1, 2)
    }
    assert [len(of_fold) for of_fold in weights.values()] == [1, 1]
    assert weights[1] != weights[2]


@pytest.mark.usefixtures("compared")
def test_the_classifiers_differ_by_candidate_and_seed(project: Project) -> None:
    found = [predictions(project, candidate, seed) for candidate in ("residual", "image") for seed in (0, 1)]
    assert len({tuple(one["logit_healthy"]) for one in found}) == 4
    assert all(one["image_id"].equals(found[0]["image_id"]) for one in found)


@pytest.mark.usefixtures("compared")
def test_the_table_is_that_of_the_predictions(project: Project) -> None:
    table = read(project.folder / comparison_table_file("patients"))
    assert (table["folds"], table["seeds"], table["images"], table["reference"]) == (2, 2, 33, "residual")
    accuracy = {
        candidate: [
            float((one["label"] == one["predicted"]).mean())
            for one in (predictions(project, candidate, seed) for seed in (0, 1))
        ]
        for candidate in ("residual", "image")
    }
    for candidate, values in accuracy.items():
        assert table["candidates"][candidate]["by_seed"]["accuracy"] == pytest.approx(values)
    difference = table["candidates"]["image"]["differences"]["accuracy"]
    assert difference["difference"] == pytest.approx(np.mean(accuracy["image"]) - np.mean(accuracy["residual"]))
    low, high = difference["interval"]
    assert low <= difference["difference"] <= high
    assert table["residual"][0]["answer"].startswith("The residual alone is ")
    assert table["patients_in_two_splits"] == 0
    assert table["residual"][0]["answer"] in (project.folder / comparison_page("patients")).read_text()


def test_the_terminal_says_what_came_out(compared: "subprocess.CompletedProcess[str]", project: Project) -> None:
    table = read(project.folder / comparison_table_file("patients"))
    assert "2 folds of patients, 2 seeds, 33 images" in compared.stdout
    unbroken = " ".join(compared.stdout.split())
    for sentence in (*(one["answer"] for one in table["residual"]), table["choice"], *table["conclusions"]):
        assert " ".join(sentence.split()) in unbroken


@pytest.mark.usefixtures("compared")
def test_trainings_are_runs_below_the_study(project: Project) -> None:
    runs = children(project, STUDY)
    assert set(runs) == {
        f"{name}-fold-{fold}-seed-{seed}" for name in ("residual", "image") for fold in (1, 2) for seed in (0, 1)
    }
    assert runs["image-fold-2-seed-1"] == dict.fromkeys(BEHIND, "FINISHED")


@pytest.mark.usefixtures("compared")
def test_a_comparison_again_trains_nothing(project: Project) -> None:
    again = project.run(*COMPARE)
    assert again.returncode == 0, again.stdout
    assert "python -m tasks" not in again.stdout
    assert re.search(r"7 of 8 variants done, \S+ elapsed$", again.stdout, re.MULTILINE), "nothing to foresee"


@pytest.mark.usefixtures("compared")
def test_the_first_seed_is_that_of_a_cross_validation(project: Project) -> None:
    folds = project.run("flows", "cross-validate", "--folds", "2", "--until", "evaluate")
    assert folds.returncode == 0, folds.stdout
    found = re.findall(r"exec python -m tasks (.+)", folds.stdout)
    assert found == ["build_split", "build_split"], "DVC's cache has the rest, and no run of a stage whose outs persist"


def test_faults_of_the_candidates_are_said_at_once(project: Project) -> None:
    (project.folder / "faulty.yaml").write_text(FILE.replace("cin.input: image", "cin.input: picture, seed: 1"))
    finished = project.run("flows", "compare", "--candidates", "faulty.yaml")
    assert finished.returncode == 1
    assert finished.stdout.startswith("error: faulty.yaml: candidates.image: ")
    assert "Flow run" not in finished.stdout
