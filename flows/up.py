"""What `coronet up` does: all servers of one machine, in the foreground, until Ctrl-C."""

import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NoReturn

from prefect.settings import PREFECT_API_URL, temporary_settings

from coronet_core.errors import CoroNetError
from flows.deploy import deploy
from flows.process import Descendants
from flows.project import prepare
from flows.server import HOST, SERVER_LOGS, child_server, is_healthy
from flows.worker import POOL
from tasks.tracking.delivery import DEFAULT_TRACKING_URI

POLL_S: Final = 1.0
LAST_WORDS_S: Final = 20.0
"""In which a flow run ends its stages and tells the server that it is over. A worker by itself leaves it behind."""
WORKER_PORT_VARIABLE: Final = "PREFECT_WORKER_WEBSERVER_PORT"


def up(prefect_port: int, mlflow_port: int, worker_port: int) -> None:
    """Start a Prefect server, an MLflow server and a worker, deploy, and say where they are; until Ctrl-C.

    A server that PREFECT_API_URL or MLFLOW_TRACKING_URI already names is used instead. Raises CoroNetError when one of
    them does not start or ends.
    """
    prepare(None)
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        servers = {}
        if not PREFECT_API_URL.value():
            command = ["prefect", "server", "start", "--host", HOST, "--port", str(prefect_port)]
            page = f"http://{HOST}:{prefect_port}"
            _require_free(f"{page}/api/health", prefect_port)
            told = {"PREFECT_UI_API_URL": f"{page}/api"}  # by itself the page asks port 4200
            servers["prefect"] = stack.enter_context(child_server("prefect", command, f"{page}/api/health", **told))
            stack.enter_context(temporary_settings({PREFECT_API_URL: f"{page}/api"}))
            os.environ["PREFECT_API_URL"] = f"{page}/api"
        if "MLFLOW_TRACKING_URI" not in os.environ:
            page = f"http://{HOST}:{mlflow_port}"
            _require_free(f"{page}/health", mlflow_port)
            command = ["mlflow", "server", "--host", HOST, "--port", str(mlflow_port), "--workers", "1"]
            command += ["--backend-store-uri", DEFAULT_TRACKING_URI, "--serve-artifacts"]
            servers["mlflow"] = stack.enter_context(child_server("mlflow", command, f"{page}/health"))
            os.environ["MLFLOW_TRACKING_URI"] = page
        deploy()
        command = ["prefect", "worker", "start", "--pool", POOL, "--type", "process", "--with-healthcheck"]
        health, told = f"http://{HOST}:{worker_port}/health", {WORKER_PORT_VARIABLE: str(worker_port)}
        servers["worker"] = stack.enter_context(child_server("worker", command, health, **told))
        runs = Descendants(servers["worker"].pid)
        stack.callback(runs.end, LAST_WORDS_S)  # before the servers, which are to hear of it
        _say_where()
        while True:
            runs.look()
            for name, process in servers.items():
                if process.poll() is not None:
                    raise CoroNetError(f"{name} has ended with code {process.returncode}: see {SERVER_LOGS / name}.log")
            time.sleep(POLL_S)


def _require_free(health: str, port: int) -> None:
    if is_healthy(health):
        raise CoroNetError(f"port {port} is taken: another server answers there. End it, or give another port.")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _say_where() -> None:
    print(f"Prefect's page  {str(PREFECT_API_URL.value()).removesuffix('/api')}")
    print(f"MLflow's page   {os.environ['MLFLOW_TRACKING_URI']}")
    print(f"A worker serves the pool {POOL} in {Path.cwd()}; logs in {SERVER_LOGS}. Ctrl-C ends all of it.")
    sys.stdout.flush()
