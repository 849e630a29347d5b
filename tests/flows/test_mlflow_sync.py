"""Records of stages on their way to a real MLflow store, by the flow."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flows.pipeline import mlflow_sync as courier
from tasks.runtime.tracking.run_record import all_records
from tasks.runtime.tracking.stage_run import DELIVERED_VARIABLE, StageRun

STAGE = """
import sys
from tasks.runtime.tracking.stage_run import StageRun
with StageRun("train_cin", {}) as run:
    run.metrics({"loss": 2.0}, step=1)
print("mlflow" in sys.modules)
"""


@pytest.fixture(autouse=True)
def store(mlflow_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return mlflow_store


def run_in(store: str) -> Run:
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def test_a_stage_is_told_of_while_it_runs(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DELIVERED_VARIABLE, "true")
    monkeypatch.setattr(courier, "SECONDS_BETWEEN_DELIVERIES", 0.2)
    with courier.records_delivered(), StageRun("train_cin", {}) as stage:
        stage.metrics({"loss": 2.0}, step=1)
        deadline = time.monotonic() + 120
        while stage.run_id is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert run_in(store).info.status == "RUNNING"
    assert run_in(store).info.status == "FINISHED"
    assert run_in(store).data.metrics == {"loss": 2.0}


@pytest.mark.parametrize(("variables", "loads"), [({}, True), ({DELIVERED_VARIABLE: "true"}, False)])
def test_a_stage_loads_mlflow_only_where_it_delivers_itself(
    store: str, variables: dict[str, str], *, loads: bool
) -> None:
    environment = os.environ | variables | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run([sys.executable, "-c", STAGE], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(loads)]
    with courier.records_delivered():  # that of a stage which has ended before is sent at the end
        pass
    assert list(all_records()) == []
    assert run_in(store).data.metrics == {"loss": 2.0}
