"""Backup, loss and restoration of everything, by the commands of `docs/operations.md`, on PostgreSQL and S3."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.servers.server_process import QUIET, free_port
from tasks.runtime.paths import CIN_WEIGHTS, PACKAGE
from tests.conftest import PROJECT
from tests.integration.conftest import Project, copy_of
from tests.integration.hosts import HTTP, Host, served
from tests.integration.postgres import PostgresServer, postgres_server
from tests.integration.s3 import S3Server, s3_server

pytestmark = [pytest.mark.integration, pytest.mark.slow]
BUCKETS = ("mlflow", "dvc")
DATABASES = ("prefect", "mlflow")
PROMOTE = """
from tasks.registry.champion_alias import set_champion
from tasks.registry.versions import find_version
set_champion(find_version("1"), None)
"""


def commands(heading: str) -> str:
    """The shell commands of a section of `docs/operations.md`."""
    section = (PROJECT / "docs/operations.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return str(block)


@dataclass(frozen=True)
class Lab:
    """Databases, buckets and a backup of one lab."""

    folder: Path
    postgres: PostgresServer
    s3: S3Server
    prefect_port: int
    mlflow_port: int

    @property
    def address(self) -> str:
        return self.postgres.address.removesuffix("/postgres")

    @property
    def variables(self) -> dict[str, str]:
        own = {"PREFECT_API_URL": f"{self.prefect}/api", "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.mlflow_port}"}
        return {**QUIET, **self.s3.variables, **own}

    @property
    def prefect(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    def host(self, name: str) -> Host:
        return Host(self.folder / name / "coronet", self.variables)

    def shell(self, script: str, folder: Path, host: Host) -> None:
        """Run the commands of a section."""
        path = os.pathsep.join([str(self.postgres.programs), host.environment["PATH"]])
        own = {"PATH": path, "POSTGRES": self.address, "BACKUP": str(self.folder / "backup")}
        command = ["bash", "-euo", "pipefail", "-c", script]
        finished = subprocess.run(
            command, cwd=folder, env=host.environment | own, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr

    def sql(self, *statements: str) -> None:
        command = [self.postgres.programs / "psql", "--quiet", *(f"--command={one}" for one in statements)]
        subprocess.run([*command, self.postgres.address], check=True)

    @contextmanager
    def serving(self, name: str) -> Iterator[None]:
        """Both servers, with a home of their own."""
        database = self.address.replace("postgresql://", "postgresql+asyncpg://") + "/prefect"
        prefect = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.prefect_port))
        store = self.address.replace("postgresql://", "postgresql+psycopg2://") + "/mlflow"
        mlflow = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(self.mlflow_port), "--workers", "1"]
        mlflow += ["--backend-store-uri", store, "--artifacts-destination", "s3://mlflow"]
        home = self.folder / name
        connection = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
        with (
            served(home / "prefect", f"{self.prefect}/api/health", *prefect, **connection),
            served(home / "mlflow", f"http://127.0.0.1:{self.mlflow_port}/health", *mlflow, **self.s3.variables),
        ):
            yield

    def deployment(self) -> dict[str, Any]:
        found: dict[str, Any] = (
            HTTP.get(f"{self.prefect}/api/deployments/name/retrain/retrain").raise_for_status().json()
        )
        return found

    def lose_everything(self) -> None:
        self.sql(*(f"DROP DATABASE {one} WITH (FORCE)" for one in DATABASES))
        client = self.s3.client()
        for bucket in BUCKETS:
            for one in client.list_objects_v2(Bucket=bucket)["Contents"]:
                client.delete_object(Bucket=bucket, Key=one["Key"])
            assert "Contents" not in client.list_objects_v2(Bucket=bucket)
        shutil.rmtree(self.folder / "before")


@pytest.fixture
def lab(tmp_path: Path, finished: Project) -> Iterator[Lab]:
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(tmp_path / "s3", *BUCKETS))
        postgres = stack.enter_context(postgres_server())
        lab = Lab(tmp_path, postgres, s3, free_port(), free_port())
        lab.sql(*(f"CREATE DATABASE {one}" for one in DATABASES))
        host = Host(copy_of(finished, lab.host("before").folder).folder, lab.variables)
        remote = f"['remote \"s3\"']\n    url = s3://dvc/lab\n    endpointurl = {s3.endpoint}\n"
        (host.folder / ".dvc" / "config.local").write_text(f"[core]\n    remote = s3\n{remote}")
        host.git("add", "dvc.lock")
        host.git("commit", "-qm", "trained")
        yield lab


def test_what_was_backed_up_and_lost_is_restored(lab: Lab) -> None:
    before, after = lab.host("before"), lab.host("after")
    with lab.serving("servers-before"):
        for command in (["deploy"], ["models", "register"]):
            done = before.run("flows", *command)
            assert done.returncode == 0, done.stdout
        assert before.finish(PROMOTE) == ""
        lab.shell(commands("Integrity of a package"), before.folder, before)
        deployment = lab.deployment()["id"]
        lab.shell(commands("Back up"), before.folder, before)
    package = {one.name: one.read_bytes() for one in (before.folder / PACKAGE).iterdir()}
    weights = (before.folder / CIN_WEIGHTS).read_bytes()
    key = shutil.copy(before.folder / "coronet.pub", lab.folder)
    names = (before.folder / ".coronet" / "image_names.csv").read_bytes()
    lab.lose_everything()
    after.folder.parent.mkdir()
    lab.shell(commands("Restore"), after.folder.parent, after)
    with lab.serving("servers-after"):
        assert lab.deployment()["id"] == deployment
        after.variables["CORONET_PUBLIC_KEY"] = str(key)
        fetched = after.run("flows", "models", "fetch", "champion", "--out", str(lab.folder / "champion"))
        assert fetched.returncode == 0, fetched.stdout
    assert {one.name: one.read_bytes() for one in (lab.folder / "champion").iterdir()} == package
    assert (after.folder / CIN_WEIGHTS).read_bytes() == weights
    assert (after.folder / ".coronet" / "image_names.csv").read_bytes() == names
    assert "Data and pipelines are up to date." in after.run("dvc", "status").stdout
