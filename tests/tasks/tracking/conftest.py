"""An empty project with an MLflow store of its own."""

from pathlib import Path

import pytest

from tasks.runtime.tracking.stage_run import PARENT_RUN_VARIABLE, PARENT_VARIABLE
from tests.tasks.tracking.mlflow_runs import store


@pytest.fixture(autouse=True)
def project(mlflow_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a server that is away is not waited for
    assert mlflow_store == store()
    for variable in (PARENT_VARIABLE, PARENT_RUN_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path
