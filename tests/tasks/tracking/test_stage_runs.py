"""A stage's run, in a real MLflow store."""

import json
from pathlib import Path

import dvc.api
import pandas as pd
import pytest
from dvc.repo import Repo
from mlflow import MlflowClient

from tasks.runtime.tracking.run_record import all_records
from tasks.runtime.tracking.stage_run import PARENT_RUN_VARIABLE, PARENT_VARIABLE, StageRun, flattened
from tests.tasks.tracking.mlflow_runs import runs, store, track


def test_a_run_has_params_metrics_artifacts_and_an_end() -> None:
    track()
    run = runs()["train_cin"]
    client = MlflowClient(store())
    assert run.data.params == {"cin.epochs": "2"}
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")] == [2.0, 1.0]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["weights.bin"]
    assert run.info.status == "FINISHED"
    assert "git.commit" in run.data.tags


def test_a_stage_is_nested_under_its_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    with StageRun("pipeline", {}) as pipeline:
        monkeypatch.setenv(PARENT_VARIABLE, pipeline.key)
        track()
        with StageRun("report", {}) as nested:
            assert nested.parent_run_id == runs()["pipeline"].info.run_id
        assert pipeline.parent_run_id is None
    assert runs()["train_cin"].data.tags["mlflow.parentRunId"] == runs()["pipeline"].info.run_id


def test_a_stage_on_another_host_is_nested_by_its_parents_run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    track("pipeline")
    parent = runs()["pipeline"].info.run_id
    monkeypatch.setenv(PARENT_RUN_VARIABLE, parent)
    with StageRun("report", {}) as nested:
        assert nested.parent_run_id == parent
    assert runs()["report"].data.tags["mlflow.parentRunId"] == parent


def test_a_parent_that_this_store_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PARENT_RUN_VARIABLE, "f" * 32)
    track()
    run = runs()["train_cin"]
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.info.status == "FINISHED"


def test_a_failed_stage_is_a_failed_run_with_its_reason() -> None:
    with pytest.raises(ValueError, match="bad"), StageRun("evaluate", {}):
        raise ValueError("bad luck")
    run = runs()["evaluate"]
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "bad luck"


def test_what_mlflow_refuses_does_not_hold_up_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with StageRun("explain", {}) as run:
        run.metrics({"no@good": 1.0})
        run.metrics({"good": 2.0})
    assert "MLflow rejects a record of kind metrics" in capsys.readouterr().out
    assert runs()["explain"].data.metrics == {"good": 2.0}


def test_a_run_that_mlflow_refuses_does_not_hold_up_others(capsys: pytest.CaptureFixture[str]) -> None:
    track("evaluate")
    client = MlflowClient(store())
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    track("explain")
    assert "MLflow rejects the run" in capsys.readouterr().out
    assert list(all_records()) == []


def test_artifacts_outside_the_project_are_refused(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("here")
    with StageRun("explain", {}) as run, pytest.raises(ValueError, match="below the project's folder"):
        run.artifact(precious)
    assert precious.read_text() == "here"


def test_params_are_flat_for_mlflow() -> None:
    nested = {"data": {"sources": [{"kind": "phantom"}], "size": 64}, "seed": 1}
    assert flattened(nested) == {"data.sources": "[{'kind': 'phantom'}]", "data.size": "64", "seed": "1"}


CONFIG = "[core]\n    no_scm = true\n    remote = store\n['remote \"store\"']\n    url = s3://bucket/dvc\n"
"""DVC's, of a project without git."""


def addresses_of_data(manifest: Path) -> set[tuple[str, str]]:
    """Type and address of the data sets of a run that logs `manifest`."""
    with StageRun("evaluate", {}) as run:
        run.dataset(manifest)
    data = [one.dataset for one in runs()["evaluate"].inputs.dataset_inputs]
    return {(one.source_type, json.loads(one.source)["uri"]) for one in data}


@pytest.fixture
def manifest(project: Path) -> Path:
    path = project / "manifest.parquet"
    pd.DataFrame({"label": ["healthy"], "split": ["train"]}).to_parquet(path)
    return path.relative_to(project)


def test_data_have_the_address_of_dvcs_remote(manifest: Path) -> None:
    with Repo.init(no_scm=True) as repo:
        Path(".dvc/config").write_text(CONFIG)
        repo.add(str(manifest))
    assert addresses_of_data(manifest) == {("s3", dvc.api.get_url(str(manifest)))}


def test_data_without_a_remote_have_the_address_of_their_file(manifest: Path) -> None:
    assert addresses_of_data(manifest) == {("local", manifest.absolute().as_uri())}
