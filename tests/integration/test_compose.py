"""The services of compose.yaml as processes of this machine: their commands and variables, without containers.

PostgreSQL and the S3 server are those of packages; the S3 server gets the command of its service, and PostgreSQL the
statements of the configuration.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from flows.servers.server_process import free_port
from tests.conftest import PROJECT
from tests.integration.conftest import Project, copy_of
from tests.integration.hosts import HTTP, Host, running
from tests.integration.postgres import PASSWORD, postgres_server

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PORTS = (4200, 5000, 8000, 8080, 8333, 8888, 9333, 9340)
PROGRAMS = {"python3": (sys.executable,), "coronet": (sys.executable, "-m", "flows")}
HIGHEST_PORT = 55_000
"""SeaweedFS's ports for gRPC are 10,000 above."""


@dataclass
class Stack:
    """compose.yaml with ports of this test, and what it has started."""

    host: Host
    content: dict[str, Any]
    ports: dict[int, int]
    stack: ExitStack = field(default_factory=ExitStack)

    def variables(self, service: str) -> dict[str, str]:
        return dict(self.content["services"][service].get("environment", {}))

    def start(self, service: str, port: int, health: str) -> None:
        """Start what the service's container would run, in the project, and wait until it is ready."""
        name, *arguments = self.content["services"][service]["command"]
        own = self.host.environment | self.variables(service)
        folder = self.host.folder.parent / service
        address = f"http://127.0.0.1:{self.ports[port]}{health}"
        command = (*PROGRAMS[name], *arguments)
        entered = ("env", f"--chdir={self.host.folder}", *command)
        self.stack.enter_context(running(folder, address, *entered, **own))

    def run(self, service: str) -> None:
        name, *arguments = self.content["services"][service]["command"]
        command = [*PROGRAMS[name], *arguments]
        subprocess.run(command, env=self.host.environment | self.variables(service), check=True)

    def get(self, port: int, path: str) -> httpx.Response:
        return HTTP.get(f"http://127.0.0.1:{self.ports[port]}{path}")


def port_for_weed() -> int:
    while (port := free_port()) > HIGHEST_PORT:
        pass
    return port


def compose(ports: dict[int, int], database_port: int) -> dict[str, Any]:
    """Return compose.yaml as Compose would read it, with other ports."""
    text = (PROJECT / "compose.yaml").read_text()
    for port, own in (ports | {5432: database_port}).items():
        text, n = re.subn(rf"\b{port}\b", str(own), text)
        assert n, f"no {port} in compose.yaml"
    text = re.sub(r"\$\{POSTGRES_PASSWORD[^}]*\}", PASSWORD, text)
    text = re.sub(r"\$\{S3_SECRET[^}]*\}", "secret-of-a-test", text)
    content: dict[str, Any] = YAML(typ="safe").load(text)
    return content


@pytest.fixture(scope="module")
def stack(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose")
    with postgres_server() as postgres, ExitStack() as servers:
        ports = {port: port_for_weed() for port in PORTS}
        content = compose(ports, int(re.findall(r":(\d+)/", postgres.address)[0]))
        host = Host(copy_of(finished, folder / "coronet").folder)
        statements = ["CREATE DATABASE prefect", content["configs"]["databases"]["content"]]
        psql = [postgres.programs / "psql", *(f"--command={one}" for one in statements), postgres.address]
        subprocess.run(psql, check=True, capture_output=True)
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(content["configs"]["s3"]["content"])
        weed = [str(Path(sys.executable).with_name("weed")), *content["services"]["s3"]["command"]]
        places = {
            "-dir=/data": f"-dir={folder / 'data'}",
            "-s3.config=/etc/s3.json": f"-s3.config={folder / 's3.json'}",
        }
        weed = [places.get(one, one) for one in weed]
        assert len(set(weed) & set(places.values())) == 2
        servers.enter_context(running(folder / "s3", f"http://127.0.0.1:{ports[8333]}/healthz", *weed))
        stack = Stack(host, content, ports, servers)
        for _ in range(2):  # the buckets are there when the machine starts again
            stack.run("buckets")
        stack.start("prefect", 4200, "/api/health")
        stack.start("mlflow", 5000, "/health")
        stack.start("worker", 8080, "/health")
        yield stack


def test_the_worker_has_deployed_the_flows(stack: Stack) -> None:
    found = stack.get(4200, "/api/deployments/name/retrain/retrain")
    assert found.status_code == httpx.codes.OK
    assert found.json()["work_pool_name"] == "coronet"


def test_a_registered_model_is_in_the_bucket_and_is_served(stack: Stack) -> None:
    stack.host.variables.update(stack.variables("worker"))
    registered = stack.host.run("flows", "models", "register")
    assert registered.returncode == 0, registered.stdout
    client = MlflowClient(stack.variables("worker")["MLFLOW_TRACKING_URI"])
    client.set_registered_model_alias("coronet", "champion", "1")
    stack.start("service", 8000, "/ready")
    assert stack.get(8000, "/model").json()["source"].startswith("models:/coronet@champion")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.variables("mlflow").items():
            patch.setenv(name, value)
        import boto3

        bucket = boto3.client("s3").list_objects_v2(Bucket="mlflow", MaxKeys=1000)
    assert any(one["Key"].endswith("cin.safetensors") for one in bucket["Contents"])
    assert os.environ.get("AWS_ACCESS_KEY_ID") != "coronet"
