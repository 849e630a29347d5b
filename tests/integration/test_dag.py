"""The whole DAG, for real: Prefect, DVC and MLflow on a tiny data set. The tests go on from one another."""

import getpass
import json
import re
import socket
import sqlite3
import subprocess
from contextlib import closing
from typing import Any

import httpx
import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from ruamel.yaml import YAML

from coronet_core.common.manifest import read_manifest
from coronet_core.common.weights import read_weights
from tasks.package.dvc_lock import model_of_last_run
from tasks.runtime.paths import (
    DIFFERENCES_PAGE,
    EXPLANATION_INDEX,
    FIGURES,
    MANIFEST,
    METRICS,
    MODEL_CARD,
    PREDICTIONS,
    REPORT,
    RESIDUAL_INDEX,
)
from tests.integration.conftest import LIGHT, Project, output_of
from tests.serving.served import png

pytestmark = pytest.mark.integration
STAGES = [
    "build_split",
    "train_autoencoder@healthy",
    "train_autoencoder@pneumonia",
    "materialize_residuals",
    "train_cin",
    "calibrate",
    "evaluate",
    "audit",
    "explain",
    "report",
    "package",
]


@pytest.fixture(scope="module")
def first_run(finished: Project) -> str:
    """What a run of every stage has said."""
    return output_of(finished).read_text()


@pytest.fixture(scope="module")
def project(finished_project: Project) -> Project:
    return finished_project


def commit_of(project: Project) -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True).stdout.strip()


def spans(output: str) -> dict[str, tuple[float, float]]:
    """Begin and end of each stage, in seconds, from the flow's summary."""
    lines = re.findall(r"- (\S+) +Completed +from +([\d.]+) s to +([\d.]+) s", output)
    return {stage: (float(begin), float(end)) for stage, begin, end in lines}


def mlflow_runs(project: Project) -> list[Run]:
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def locked(project: Project) -> dict[str, Any]:
    stages: dict[str, Any] = YAML(typ="safe").load((project.folder / "dvc.lock").read_text())["stages"]
    return stages


def test_one_command_runs_every_stage(project: Project, first_run: str) -> None:
    assert list(spans(first_run)) == STAGES
    assert set(locked(project)) == set(STAGES)


def test_the_run_ends_with_the_tables_and_the_report(finished: Project, first_run: str) -> None:
    ending = first_run[first_run.index("Table 2") :]
    assert all(title in ending for title in ("Tables 3 and 4", "Specificity", "Table 5"))
    assert f"Report: {finished.folder / REPORT}" in ending
    assert "MLflow's page: `make mlflow` opens it" in ending


def test_a_run_is_called_as_on_the_pages_and_no_page_is_named_that_does_not_open(
    project: Project, first_run: str
) -> None:
    code = rf"code {commit_of(project)[:7]}\+?"
    assert re.search(f"Beginning flow run 'own params, {code}'", first_run)
    assert re.search(f"Flow run 'own params, data to be built, {code}' - build_split ", first_run)
    assert "View at" not in first_run
    (name,) = re.findall("^Run: (.*)$", first_run, re.MULTILINE)
    assert name in {run.info.run_name for run in mlflow_runs(project)}
    with closing(sqlite3.connect(project.prefect_home / "prefect.db")) as database:
        assert name in {row[0] for row in database.execute("SELECT name FROM flow_run")}


def test_autoencoders_are_trained_side_by_side(first_run: str) -> None:
    span = spans(first_run)
    begin = max(span[stage][0] for stage in STAGES[1:3])
    end = min(span[stage][1] for stage in STAGES[1:3])
    assert begin < end
    assert span["materialize_residuals"][0] >= max(span[stage][1] for stage in STAGES[1:3])


def test_output_of_the_stages_is_in_the_log(first_run: str) -> None:
    assert re.search(r"Task run 'train_autoencoder@pneumonia' - epoch 4/4: training_loss", first_run)


def test_no_patient_is_in_two_splits(project: Project) -> None:
    manifest = read_manifest(project.folder / MANIFEST)
    assert manifest.groupby("patient_id")["split"].nunique().max() == 1
    assert set(manifest["split"]) == {"train", "validation", "test"}


def test_outs_agree_with_each_other(project: Project) -> None:
    manifest = read_manifest(project.folder / MANIFEST)
    index = pd.read_parquet(project.folder / RESIDUAL_INDEX)
    predictions = pd.read_parquet(project.folder / PREDICTIONS)
    metrics = json.loads((project.folder / METRICS).read_text())
    assert index["image_id"].tolist() == manifest["image_id"].tolist()
    assert set(predictions["image_id"]) == set(manifest.loc[manifest["split"] == "test", "image_id"])
    assert metrics["accuracy"] == (predictions["label"] == predictions["predicted"]).mean()
    assert set(pd.read_parquet(project.folder / EXPLANATION_INDEX)["image_id"]) <= set(predictions["image_id"])


def test_the_report_needs_no_network(project: Project) -> None:
    page = (project.folder / REPORT).read_text()
    assert page.count("data:image/png;base64,") == len(list((project.folder / FIGURES).glob("*.png"))) == 12
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", page) == []
    assert "not a medical device" in page
    assert "not a medical device" in (project.folder / MODEL_CARD).read_text()


def test_the_last_run_is_served_until_the_service_is_told_to_end(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with project.start("flows", "serve", "--port", str(port), "--quiet") as process:
        try:
            assert process.stdout is not None
            assert f"http://127.0.0.1:{port}" in process.stdout.readline()
            model = httpx.get(f"http://127.0.0.1:{port}/model").json()
            files = {"files": ("chest.png", png())}
            answered = httpx.post(f"http://127.0.0.1:{port}/predict", files=files, timeout=60).json()
        finally:
            process.terminate()
    assert model["source"] == "the last run"
    assert model["digest"] == answered["model"] == model_of_last_run(project.folder).digest
    assert "not a medical device" in model["card"]
    assert answered["answers"][0]["error"] is None


def pipeline_run(project: Project) -> Run:
    """The run of the whole DAG, under which the others are nested."""
    (run,) = (run for run in mlflow_runs(project) if "mlflow.parentRunId" not in run.data.tags)
    return run


def test_every_stage_is_a_run_under_the_pipeline(project: Project) -> None:
    pipeline = pipeline_run(project)
    runs = {run.info.run_name: run for run in mlflow_runs(project) if run.info.run_id != pipeline.info.run_id}
    assert set(runs) == set(STAGES)
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {pipeline.info.run_id}
    assert {run.info.status for run in (pipeline, *runs.values())} == {"FINISHED"}


def test_the_run_of_the_dag_has_its_figures_its_report_and_the_name_of_the_flow_run(project: Project) -> None:
    run = pipeline_run(project)
    split = next(out["md5"] for out in locked(project)["build_split"]["outs"] if out["path"] == "data/split")
    assert run.info.run_name.startswith(f"own params, data {split[:7]}, code ")
    figures = json.loads((project.folder / METRICS).read_text())
    assert run.data.metrics["accuracy"] == figures["accuracy"]
    assert [run.data.metrics[f"accuracy.{end}"] for end in ("low", "high")] == figures["accuracy_interval"]
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    attached = {file.path for file in client.list_artifacts(run.info.run_id, "reports")}
    assert attached == {str(REPORT), str(MODEL_CARD), str(DIFFERENCES_PAGE)}
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_run_holds_params_epochs_artifacts_data_and_versions(project: Project) -> None:
    run = next(run for run in mlflow_runs(project) if run.info.run_name == "train_cin")
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    assert run.data.params["cin.epochs"] == "2"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "validation_loss")] == [1, 2]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "models")] == ["models/cin.safetensors"]
    contexts = {one.dataset.name: one.tags[0].value for one in run.inputs.dataset_inputs}
    assert contexts == {"train": "training", "validation": "validation", "test": "evaluation"}
    assert "epoch" not in run.data.metrics
    assert run.data.metrics["system/system_memory_usage_megabytes"] > 0
    assert run.data.tags["git.commit"] == run.data.tags["mlflow.source.git.commit"] == commit_of(project)
    assert run.data.tags["mlflow.user"] == getpass.getuser()
    expected = {
        kind: {entry["path"]: entry["md5"] for entry in locked(project)["train_cin"][kind]} for kind in ("deps", "outs")
    }
    assert json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/dvc.json")) == expected
    tags = {key.removeprefix("dvc."): value for key, value in run.data.tags.items() if key.startswith("dvc.")}
    assert tags == expected["outs"]


def test_the_report_names_its_run_and_its_data_and_mlflow_has_its_figures(project: Project) -> None:
    runs = {run.info.run_name: run for run in mlflow_runs(project)}
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    page = (project.folder / REPORT).read_text()
    assert runs["report"].info.run_id in page
    assert pipeline_run(project).info.run_id in page
    assert all(entry["md5"] in page for entry in locked(project)["report"]["deps"])
    assert len(client.list_artifacts(runs["report"].info.run_id, "reports/figures")) == 12


def test_a_second_run_does_nothing_and_says_so(project: Project) -> None:
    again = project.run("flows", "run")
    assert again.returncode == 0
    assert "All stages are up to date: nothing to do." in again.stdout
    assert "Running stage" not in again.stdout
    assert len(mlflow_runs(project)) == 1 + len(STAGES)


def test_dvc_repro_after_the_flow_does_nothing(project: Project) -> None:
    assert "Data and pipelines are up to date." in project.run("dvc", "repro").stdout


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["status"], "Data and pipelines are up to date."),
        (["dag"], "materialize_residuals"),
        (["metrics", "show"], "roc_auc.macro"),
        (["plots", "show"], "index.html"),
    ],
)
def test_commands_of_dvc_work(project: Project, command: list[str], shown: str) -> None:
    finished = project.run("dvc", *command)
    assert finished.returncode == 0, finished.stdout
    assert shown in finished.stdout


@pytest.mark.slow
def test_another_learning_rate_runs_the_cin_and_what_follows(project: Project) -> None:
    project.set_params(LIGHT | {"cin": {"learning_rate": 0.0005}})
    finished = project.run("dvc", "repro")
    assert finished.returncode == 0, finished.stdout
    assert re.findall(r"Running stage '(\S+)'", finished.stdout) == STAGES[4:]


@pytest.mark.slow
def test_the_flow_after_dvc_repro_does_nothing(project: Project) -> None:
    assert "nothing to do" in project.run("flows", "run").stdout


@pytest.mark.slow
def test_a_run_by_dvc_alone_has_no_parent(project: Project) -> None:
    latest = max((r for r in mlflow_runs(project) if r.info.run_name == "train_cin"), key=lambda r: r.info.start_time)
    assert "mlflow.parentRunId" not in latest.data.tags
    assert latest.data.params["cin.learning_rate"] == "0.0005"


@pytest.mark.slow
def test_dvc_experiments_run_what_other_params_change(project: Project) -> None:
    finished = project.run("dvc", "exp", "run", "-S", "evaluate.confidence=0.9")
    assert finished.returncode == 0, finished.stdout
    assert "confidence: 0.9" in (project.folder / "params.yaml").read_text()
    assert sorted(re.findall(r"Running stage '(\S+)'", finished.stdout)) == ["audit", "evaluate", "package", "report"]


def test_two_runs_of_the_same_params_give_identical_weights(project: Project) -> None:
    before = read_weights(project.folder / "models" / "autoencoder_healthy.safetensors")
    (project.folder / "models" / "autoencoder_healthy.safetensors").unlink()
    finished = project.run("tasks", "train_autoencoder", "healthy")
    assert finished.returncode == 0, finished.stdout
    after = read_weights(project.folder / "models" / "autoencoder_healthy.safetensors")
    assert all((before[key] == after[key]).all() for key in before)
