"""How Prefect's server and MLflow's are started: their commands, their settings, and where they answer."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flows.servers.guard import allowed_hosts
from flows.servers.processes import HOST
from flows.worker import POOL
from tasks.tracking.delivery import DEFAULT_TRACKING_URI

QUIET: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for jobs of language models, which nobody starts
    "DO_NOT_TRACK": "true",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
}
MLFLOW_APP: Final = "coronet"
"""What pyproject.toml calls flows/servers/mlflow_app.py among MLflow's plug-ins."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of a Python module, on this machine's loopback."""

    title: str
    command: Sequence[str]
    """Module and arguments, to be run by this Python."""
    port: int
    health_path: str
    """Where it answers 200 once it serves."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, for those that are not set."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, whether they are set or not."""

    @property
    def page(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    @property
    def health(self) -> str:
        """The address that answers 200 once it serves."""
        return self.page + self.health_path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its process."""
        return {**QUIET, **self.defaults, **os.environ, **self.fixed}


def prefect_server(port: int, *, has_page: bool = True) -> Server:
    """Return Prefect's server at `port`; without its page it is for programs alone."""
    page = f"http://{HOST}:{port}"
    return Server(
        title="Prefect's server",
        command=("flows.servers.prefect_app", str(port)),
        port=port,
        health_path="/api/health",
        defaults={
            "PREFECT_UI_API_URL": "/api",  # by itself the page asks 127.0.0.1:4200, by whatever name it was opened
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": page,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        },
        fixed={"PREFECT_SERVER_UI_ENABLED": str(has_page).lower()},
    )


def mlflow_server(port: int) -> Server:
    """Return MLflow's server at `port`, on the SQLite file of the current folder's project."""
    hosts = allowed_hosts()
    command = ["mlflow", "server", "--app-name", MLFLOW_APP, "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", DEFAULT_TRACKING_URI, "--serve-artifacts"]
    return Server(
        title="MLflow's server",
        command=command,
        port=port,
        health_path="/health",
        defaults={
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(f"{name},{name}:*" for name in hosts),
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(
                f"{scheme}://{name}{end}" for name in hosts for scheme in ("http", "https") for end in ("", ":*")
            ),
        },
    )


def worker(port: int) -> Server:
    """Return a worker of the project's pool, which answers at `port` that it is well."""
    return Server(
        title="a worker",
        command=("prefect", "worker", "start", "--pool", POOL, "--type", "process", "--with-healthcheck"),
        port=port,
        health_path="/health",
        fixed={"PREFECT_WORKER_WEBSERVER_PORT": str(port)},
    )
