"""Where the project's servers are, and whether they answer. Nothing is started, and nothing is waited for long."""

import os
from dataclasses import dataclass
from typing import Final

from coronet_core.support.credentials import without_credentials
from flows.project.preconditions import API_VARIABLE, names_prefect_server
from flows.servers.server_process import HOST, is_healthy
from tasks.runtime.tracking.mlflow_delivery import tracking_uri

PREFECT_PORT: Final = 4200
MLFLOW_PORT: Final = 5000
SERVICE_PORT: Final = 8000
"""Where `coronet up`, `make prefect`, `make mlflow` and `coronet serve` start them."""
TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class KnownServer:
    """A server that the project uses or, where none is configured, would start."""

    title: str
    url: str
    """What programs call: with its credentials, if it has any."""
    page: str
    """What people open."""
    is_configured: bool
    """Whether what is started in this shell uses it; else it is where the project's own one would be."""
    is_running: bool


def known_prefect() -> KnownServer:
    """Return Prefect's server; `url` is that of its API."""
    return _known("Prefect", prefect_api(), f"http://{HOST}:{PREFECT_PORT}/api")


def known_mlflow() -> KnownServer:
    """Return MLflow's server."""
    return _known("MLflow", mlflow_url(), f"http://{HOST}:{MLFLOW_PORT}")


def known_service() -> KnownServer:
    """Return `coronet serve`, looked for at its usual port alone."""
    return _known("Service", None, f"http://{HOST}:{SERVICE_PORT}")


def pages() -> dict[str, str]:
    """Return how to open the pages that show a run: the address of the configured server, or what starts one."""
    prefect, mlflow = prefect_api(), mlflow_url()
    return {
        "Prefect": "`make prefect` opens it" if prefect is None else _page_of(prefect),
        "MLflow": "`make mlflow` opens it" if mlflow is None else _page_of(mlflow),
    }


def mlflow_url() -> str | None:
    """Return the address of the configured MLflow server; None if runs are tracked without one."""
    uri = tracking_uri()
    return uri.rstrip("/") if uri.startswith(("http://", "https://")) else None


def prefect_api() -> str | None:
    """Return the address of the configured Prefect server's API; None if there is none."""
    if not names_prefect_server():
        return None
    if named := os.environ.get(API_VARIABLE):
        return named
    from prefect.settings import PREFECT_API_URL  # late: its import takes a second

    found: str | None = PREFECT_API_URL.value()
    return found or None


def _known(title: str, configured: str | None, own: str) -> KnownServer:
    """Return the server at the address `configured` or, without one, where the project's `own` would be."""
    url = own if configured is None else configured
    return KnownServer(
        title=title,
        url=url,
        page=_page_of(url),
        is_configured=configured is not None,
        is_running=is_healthy(f"{url.rstrip('/')}/health", TIMEOUT_S),
    )


def _page_of(url: str) -> str:
    return without_credentials(url).rstrip("/").removesuffix("/api")
