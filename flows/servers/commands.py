"""How Prefect's server and MLflow's are started: their commands, their settings, and where they answer."""

from typing import Final

from flows.monitoring.work_pool import POOL
from flows.servers.cross_site_guard import allowed_hosts
from flows.servers.server_process import HOST, Server
from tasks.runtime.tracking.mlflow_delivery import DEFAULT_TRACKING_URI

MLFLOW_APP: Final = "coronet"
"""What pyproject.toml calls flows/servers/mlflow_app.py among MLflow's plug-ins."""


def prefect_server(port: int, *, has_page: bool = True) -> Server:
    """Return Prefect's server at `port`; without its page it is for programs alone."""
    page = f"http://{HOST}:{port}"
    return Server(
        title="Prefect's server",
        command=("flows.servers.prefect_app", str(port)),
        port=port,
        health_path="/api/health",
        defaults={
            "PREFECT_UI_API_URL": "/api",  # by default the page asks 127.0.0.1:4200, by whatever name it was opened
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": page,
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        },
        fixed={"PREFECT_SERVER_UI_ENABLED": str(has_page).lower()},
    )


def mlflow_server(port: int) -> Server:
    """Return MLflow's server at `port`, on the SQLite file of the current folder's project.

    MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACTS_DESTINATION, if they are set, name another store.
    """
    hosts = allowed_hosts()
    command = ["mlflow", "server", "--app-name", MLFLOW_APP, "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--serve-artifacts"]
    return Server(
        title="MLflow's server",
        command=command,
        port=port,
        health_path="/health",
        defaults={
            "MLFLOW_BACKEND_STORE_URI": DEFAULT_TRACKING_URI,
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
