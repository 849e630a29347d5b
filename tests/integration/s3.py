"""A real S3 server for tests, SeaweedFS out of a package: it checks keys, and answers boto3, DVC and MLflow alike."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from flows.servers.server_process import free_port
from tests.integration.hosts import running

ACTIONS = ("Admin", "Read", "Write", "List", "Tagging")
SERVERS = ("s3", "filer", "master", "volume")
REGION = "us-east-1"


@dataclass(frozen=True)
class S3Server:
    """A running server and the one pair of keys that it knows."""

    endpoint: str
    access_key: str = "only-on-this-machine"
    secret_key: str = "of-a-server-that-ends-with-the-test"  # noqa: S105

    @property
    def variables(self) -> dict[str, str]:
        """What processes are told of it: boto3, DVC and MLflow."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
        }

    def client(self) -> Any:
        """A client of boto3."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )


@contextmanager
def s3_server(folder: Path, *buckets: str) -> Iterator[S3Server]:
    """A server with these empty buckets; what it stores lies in `folder` and goes with the server."""
    ports = {
        f"{name}.port{kind}": free_port() for name in SERVERS for kind in ("", ".grpc")
    }  # gRPC's would be 10,000 more
    server = S3Server(f"http://127.0.0.1:{ports['s3.port']}")
    keys = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
    identities = [{"name": "test", "credentials": keys, "actions": ACTIONS}]
    (folder / "data").mkdir(parents=True)
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    command = [str(Path(sys.executable).with_name("weed")), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}", "-master.telemetry=false"]
    command += ["-volume.max=20", "-master.volumeSizeLimitMB=256", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with running(folder, f"{server.endpoint}/healthz", *command):
        client = server.client()
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield server
