"""Projects to run for real: what git tracks, in a folder of its own, with params that end in seconds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from tests.conftest import PROJECT

TINY: dict[str, dict[str, Any]] = {
    "data": {
        "sources": [
            {
                "kind": "phantom",
                "patients": {"healthy": 12, "pneumonia": 12, "covid19": 9},
                "images_per_patient_max": 1,
            }
        ],
        "shard_images": 10,
    },
    "autoencoder": {"epochs": 4, "batch_size": 2},
    "residuals": {"shard_images": 2},
    "cin": {"epochs": 2},
    "explain": {
        "methods": ["perturbation", "grad_cam"],
        "boxed_images": 1,
        "gallery_method": "grad_cam",
        "perturbation": {"iterations": 2, "mask_size_px": 8},
        "measures": {"deletion_steps": 2, "randomisation_images": 1},
    },
    "audit": {"probe_images": 4},
}
LIGHT: dict[str, dict[str, Any]] = {
    "evaluate": {"bootstrap_replicates": 100},
    "audit": {"probe_images": 1},
    "explain": {
        "boxed_images": 0,
        "methods": ["perturbation"],
        "perturbation": {"iterations": 1},
        "measures": {"deletion_steps": 2, "repeat_seeds": 0, "randomisation_images": 0},
    },
}
"""For runs that are about something else than figures and maps."""
SOURCES = (
    "coronet_core",
    "tasks",
    "serving",
    "flows",
    "params",
    "data",
    ".dvc",
    "dvc.yaml",
    "params.yaml",
    "prefect.yaml",
    "pyproject.toml",
)
SOURCES_OF_STATE = (".gitignore", ".dvcignore")
COVERED = shutil.ignore_patterns("__pycache__", "split", "residuals", "tmp", "cache", "config.local")


MACHINE_SETTINGS = ("MLFLOW_", "PREFECT_", "DVC_", "PYTHONDONTWRITEBYTECODE")


def with_this_interpreter_first() -> str:
    """The path on which programs are looked for, those installed beside this Python before all others."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@dataclass(frozen=True)
class Project:
    """A project of its own."""

    folder: Path

    @property
    def prefect_home(self) -> Path:
        return self.folder / ".prefect"

    @property
    def environment(self) -> dict[str, str]:
        """No settings of the machine: an own Prefect home, the default MLflow store, one thread, the plainest shell.

        Threads of several tests would wait for each other, and weights depend on their number by a rounding. Python
        keeps what it has compiled, even if it is told not to: a project's tests start dozens of processes.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith(MACHINE_SETTINGS)}
        return kept | {
            "PATH": with_this_interpreter_first(),
            "PREFECT_HOME": str(self.prefect_home),
            "COLUMNS": "200",
            "OMP_NUM_THREADS": "1",
            "SHELL": "/bin/sh",
        }

    def run(self, *module_and_arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `python -m ...` in the project; standard error is part of the output."""
        with self.start(*module_and_arguments) as process:
            output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def done(self, *module_and_arguments: str) -> str:
        """Run `python -m ...`, which must succeed; returns what it has printed."""
        finished = self.run(*module_and_arguments)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def start(self, *module_and_arguments: str, start_new_session: bool = False) -> "subprocess.Popen[str]":
        """Start `python -m ...` in the project."""
        return subprocess.Popen(
            [sys.executable, "-m", *module_and_arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=start_new_session,
        )

    def set_params(self, changes: dict[str, Any]) -> None:
        """Change params.yaml, sections or keys of the top level; a value of `...` removes the key."""
        path = self.folder / "params.yaml"
        yaml = YAML()
        values = yaml.load(path.read_text())
        for section, keys in changes.items():
            if not isinstance(keys, dict):
                values[section] = keys
                continue
            for key, value in keys.items():
                if value is ...:
                    del values[section][key]
                elif section == "explain" and isinstance(value, dict):
                    values[section][key].update(value)
                else:
                    values[section][key] = value
        with path.open("w") as file:
            yaml.dump(values, file)

    def forget(self, stage: str) -> None:
        """Have `stage` to be run again: DVC knows of no run of it."""
        lock, yaml = self.folder / "dvc.lock", YAML()
        content = yaml.load(lock.read_text())
        content["stages"].pop(stage, None)
        with lock.open("w") as file:
            yaml.dump(content, file)
        shutil.rmtree(self.folder / ".dvc" / "cache" / "runs", ignore_errors=True)  # it may have none

    def borrow_runs(self, finished: "Project", but: Iterable[str]) -> None:
        """Let DVC restore what the finished project has made, wherever its deps are the same, `but` these stages'."""
        cache = self.folder / ".dvc" / "cache"
        shutil.copytree(finished.folder / ".dvc" / "cache", cache)
        runs = {path: path.read_text() for path in (cache / "runs").rglob("*") if path.is_file()}
        for stage in but:
            own = [path for path, run in runs.items() if f"tasks {stage}" in run]
            assert own
            for path in own:
                shutil.rmtree(path.parent)  # of this run alone


def make_project(folder: Path) -> Project:
    """Make a project in `folder`, with Prefect's tables: to make them takes longer than most that a test does."""
    for name in (*SOURCES, *SOURCES_OF_STATE):
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=COVERED)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    project = Project(folder)
    project.prefect_home.mkdir()
    for file in PREFECT_TABLES:
        shutil.copy(file, project.prefect_home)
    project.set_params(TINY)
    commit_all(folder)
    return project


def commit_all(folder: Path) -> None:
    """Make `folder` a git repository of all that is in it."""
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)


PREFECT_TABLES: list[Path] = []
"""A database of Prefect's without runs, from the fixture below."""


@pytest.fixture(scope="session", autouse=True)
def prefect_tables(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prefect's tables, made once for all processes of the tests."""
    folder = shared_folder(tmp_path_factory) / "prefect"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            home = folder.with_name("prefect-in-work")
            command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
            environment = os.environ | {"PREFECT_HOME": str(home)}
            subprocess.run(command, env=environment, check=True, capture_output=True)
            home.rename(folder)
    PREFECT_TABLES[:] = folder.glob("prefect.db*")
    assert PREFECT_TABLES


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """A function that makes a fresh project."""
    return lambda: make_project(tmp_path_factory.mktemp("projects") / "coronet")


@pytest.fixture(scope="module")
def project(new_project: Callable[[], Project]) -> Project:
    """One project for all tests of a module, which go on from each other's state."""
    return new_project()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose whole DAG has run, made once for all processes of the tests; only to be copied."""
    shared = shared_folder(tmp_path_factory)
    project, is_done = Project(shared / "finished" / "coronet"), shared / "finished" / "done"
    with FileLock(shared / "finished.lock"):
        if not is_done.exists():
            make_project(project.folder)
            run = project.run("flows", "run")
            assert run.returncode == 0, run.stdout
            output_of(project).write_text(run.stdout)
            is_done.touch()
    return project


def output_of(finished: Project) -> Path:
    """The file of what the finished project's run has said."""
    return finished.folder.parent / "output"


def copy_of(project: Project, folder: Path) -> Project:
    """The same project, and what has been done there, in the new folder `folder`."""
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project(folder)


@pytest.fixture(scope="module")
def finished_project(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the module's own in which every stage is up to date."""
    return copy_of(finished, tmp_path_factory.mktemp("projects") / "coronet")
