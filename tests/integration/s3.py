"""A real S3 server for tests, out of a package: SeaweedFS."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.server import free_port

PATIENCE_S = 120
PARTS = ("s3", "filer", "master", "volume")
ACCESS_KEY, SECRET_KEY = "lab", "only-on-this-machine"


@dataclass(frozen=True)
class S3Server:
    """A running server with one user."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 and everything above it needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server that keeps its data in `folder`; it ends with this context."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "lab",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    program = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert program is not None
    ports = {
        f"{part}.port{kind}": free_port() for part in PARTS for kind in ("", ".grpc")
    }  # else 10,000 above: too high
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    options = {
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "dir": folder,
        "s3.config": folder / "s3.json",
        "master.telemetry": "false",
        "volume.max": 20,
        "master.volumeSizeLimitMB": 64,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        **ports,
    }
    command = [program, "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            _wait(f"{endpoint}/healthz", process, folder / "log")
            yield S3Server(endpoint)
        finally:
            process.terminate()


def _wait(health: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(health, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text())
