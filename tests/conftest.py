"""What all tests share."""

import os
import shutil
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
import torch
from hypothesis import settings

PROJECT = Path(__file__).parents[1]
PARAMS = PROJECT / "tests" / "params.yaml"
"""The demo with the paper's networks."""
SHARED = PROJECT.parent / "shared"
"""Real X-rays and the authors' weights; they are not part of the project."""

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")


UNTIL: Final = "CORONET_SLOW_TESTS_UNTIL"
"""Environment variable: the time, in seconds of Unix, from which no slow test is begun any more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that last minutes first: what ends the run is then short, and no process of it waits for another.

    In a run whose time is limited they come last, their files in an order of the run's own: what a slow machine leaves
    out is not always the same.
    """
    if UNTIL not in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("integration") is None)
        return
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")  # the same in all processes of the run

    def place(item: pytest.Item) -> tuple[bool, str]:
        if item.get_closest_marker("slow"):
            return True, sha256(f"{run} {item.path}".encode()).hexdigest()
        return False, "" if item.get_closest_marker("integration") else "others"

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip slow tests when their time is up, before their fixtures are made."""
    until = float(os.environ.get(UNTIL, "inf"))
    if item.get_closest_marker("slow") and time.time() > until:
        pytest.skip(f"{UNTIL}: this machine is too slow to run all tests in the time that they are given")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: tests of servers wait more than they reckon."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; skips where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"needs real data in {SHARED.name}/ beside the project, which is not there")
    return SHARED


@pytest.fixture(autouse=True)
def one_seed() -> None:
    """Every test draws the same random numbers each time."""
    torch.manual_seed(0)


@pytest.fixture
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are recorded and not delivered, for tests of something else: a store takes a second to open."""
    monkeypatch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables: to make them takes 1.5 s, to copy them nothing."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlflow_store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new store of the test's own, to which MLflow is pointed. MLflow keeps one open for each name."""
    store = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return store
