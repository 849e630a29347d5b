"""Runs in the MLflow store of a test."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from tasks.runtime.tracking.stage_run import StageRun

NOWHERE = "http://127.0.0.1:9"  # nothing listens there


def store() -> str:
    """The store of this test."""
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def all_runs() -> list[Run]:
    client = MlflowClient(store())
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def runs() -> dict[str, Run]:
    return {str(run.info.run_name): run for run in all_runs()}


def run_of(run_id: str) -> Run:
    return MlflowClient(store()).get_run(run_id)


def track(name: str = "train_cin") -> None:
    Path("weights.bin").write_text("first")
    with StageRun(name, {"cin": {"epochs": 2}}) as run:
        run.metrics({"loss": 2.0}, step=1)
        run.metrics({"loss": 1.0}, step=2)
        run.artifact(Path("weights.bin"))
