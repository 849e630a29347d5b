"""What has to hold after a fault: one command completes the run, as if nothing had happened."""

from pathlib import Path

from tests.integration.conftest import Project, copy_of
from tests.integration.hosts import runs_in

WEIGHTS = [f"models/{name}.safetensors" for name in ("autoencoder_healthy", "autoencoder_pneumonia", "cin")]


def project_without_cin(finished: Project, folder: Path) -> Project:
    """A finished project in which `train_cin` has to be run again."""
    project = copy_of(finished, folder)
    project.forget("train_cin")
    return project


def weights(project: Project) -> list[bytes]:
    return [(project.folder / name).read_bytes() for name in WEIGHTS]


def assert_one_command_completes(project: Project, finished: Project, *command: str, store: str = "") -> None:
    again = project.run(*command)
    assert again.returncode == 0, again.stdout
    assert weights(project) == weights(finished)
    assert "Data and pipelines are up to date." in project.run("dvc", "status").stdout
    runs = runs_in(store or f"sqlite:///{project.folder}/mlflow.db")
    assert runs
    assert [run.info.run_name for run in runs if run.info.status == "RUNNING"] == []
