"""Servers that are named with a password and do not answer: the password is shown nowhere."""

from pathlib import Path

import pytest

from flows.servers.server_process import free_port
from tests.integration.conftest import Project, copy_of
from tests.integration.hosts import Host

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PASSWORD = "correct-horse-battery"  # noqa: S105  # of nobody


@pytest.fixture(scope="module")
def host(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A project that has been run, whose servers are away."""
    address = f"http://alice:{PASSWORD}@127.0.0.1:{free_port()}"
    variables = {"MLFLOW_TRACKING_URI": address, "PREFECT_API_URL": f"{address}/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    return Host(copy_of(finished, tmp_path_factory.mktemp("away") / "coronet").folder, variables)


def require_hidden(host: Host, output: str) -> None:
    assert PASSWORD not in output
    holders = [path for path in host.folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert holders == []


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("tasks", "package"), "MLflow cannot be reached"),
        (("flows", "models", "list"), "MLflow (http://127.0.0.1:"),
        (("flows", "models", "register"), "MLflow"),
        (("flows", "promote"), ""),
        (("flows", "predict", "data/raw", "--model", "models:/coronet@champion"), ""),
        (("flows", "deploy"), "http://127.0.0.1:"),
        (("flows", "run", "--params", "params/xray.yaml"), ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_no_command_shows_it(host: Host, command: tuple[str, ...], shown: str) -> None:
    Path(host.folder, "data", "raw", "xray").mkdir(parents=True, exist_ok=True)
    finished = host.run(*command)
    assert shown in finished.stdout
    require_hidden(host, finished.stdout)
