"""What `coronet deploy` and `coronet up` do: deployments on a server; all servers of one machine."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event
from typing import Final, NoReturn

import httpx
from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError, TransientError
from flows.monitoring.automations import install_automations
from flows.monitoring.schedules import add_missing_schedules, deployments_of_project
from flows.monitoring.work_pool import POOL
from flows.project.live_params import prepare
from flows.project.processes import Descendants, stage_environment
from flows.servers.addresses import pages
from flows.servers.commands import mlflow_server, prefect_server, worker
from flows.servers.server_process import SERVER_LOGS, Server, child_server, is_healthy
from tasks.runtime.tracking.mlflow_delivery import repair_own_store

POOL_TYPE: Final = "process"
PREFECT_FILE: Final = Path("prefect.yaml")
POLL_S: Final = 1.0
LAST_WORDS_S: Final = 20.0
"""In which a flow run ends its stages and tells the server that it is over. A worker by itself leaves it behind."""


def deploy() -> None:
    """Bring the Prefect server in force to what `prefect.yaml` says. Again changes nothing that is as it should be.

    What people have set on the page stays: schedules, and whether a deployment is paused. Raises CoroNetError when no
    server is set or it refuses, TransientError when it does not answer.
    """
    prepare(None)
    address = PREFECT_API_URL.value()
    if not address:
        raise CoroNetError(
            "no Prefect server: set PREFECT_API_URL, such as http://127.0.0.1:4200/api, or type `coronet up`, which "
            "starts one."
        )
    try:
        if not _pool_exists():
            _prefect("work-pool", "create", POOL, "--type", POOL_TYPE)
        with get_client(sync_client=True) as client:
            paused = [deployment.id for deployment in deployments_of_project(client) if deployment.paused]
            try:
                _prefect("deploy", "--all", "--prefect-file", str(PREFECT_FILE))
            finally:
                for deployment in paused:  # deploying has gone on with them
                    client.pause_deployment(deployment)
            add_missing_schedules(client, PREFECT_FILE)
        install_automations()
    except httpx.HTTPError as error:
        raise TransientError(f"{address}: Prefect's server does not answer ({error}).") from error


def _pool_exists() -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            return False
    return True


def _prefect(*arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    finished = subprocess.run(command, env=stage_environment(), capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        output = " ".join(without_credentials(finished.stdout + finished.stderr).split())
        raise CoroNetError(f"prefect {' '.join(arguments[:2])}: {output[-500:]}")


def up(prefect_port: int, mlflow_port: int, worker_port: int) -> None:
    """Start a Prefect server, an MLflow server and a worker, deploy, and say where they are; until Ctrl-C.

    A server that PREFECT_API_URL or MLFLOW_TRACKING_URI already names is used instead. Raises CoroNetError when one of
    them does not start or ends.
    """
    prepare(None)
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        servers: dict[str, subprocess.Popen[str]] = {}

        def start(name: str, server: Server) -> None:
            print(f"starting {server.title}: {server.page}", file=sys.stderr, flush=True)
            if is_healthy(server.health):
                raise CoroNetError(
                    f"{server.page} is taken: another server answers there. Stop it, or give another port."
                )
            servers[name] = stack.enter_context(child_server(name, server))

        if not PREFECT_API_URL.value():
            prefect = prefect_server(prefect_port)
            start("prefect", prefect)
            stack.enter_context(temporary_settings({PREFECT_API_URL: f"{prefect.page}/api"}))
            os.environ["PREFECT_API_URL"] = f"{prefect.page}/api"
        if "MLFLOW_TRACKING_URI" not in os.environ:
            repair_own_store()
            mlflow = mlflow_server(mlflow_port)
            start("mlflow", mlflow)
            os.environ["MLFLOW_TRACKING_URI"] = mlflow.page
        print("deploying", file=sys.stderr, flush=True)
        deploy()
        start("worker", worker(worker_port))
        runs = Descendants(servers["worker"].pid)
        stack.callback(runs.end, LAST_WORDS_S)  # before the servers, which are to hear of it
        _say_where()
        stop = _stop_signal()
        while not stop.wait(POLL_S):
            runs.look()
            for name, process in servers.items():
                if process.poll() is not None:
                    raise CoroNetError(f"{name} has ended with code {process.returncode}: see {SERVER_LOGS / name}.log")
        signal.signal(signal.SIGINT, signal.default_int_handler)  # who types it again does not wait for what runs


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _stop_signal() -> Event:
    """Return an event that Ctrl-C and SIGTERM set from now on: an exception may be lost in a library's clean-up."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _say_where() -> None:
    for title, way in pages().items():
        name = f"{title}'s page"
        print(f"{name:16}{way}")
    print(f"A worker serves the pool {POOL} in {Path.cwd()}; logs in {SERVER_LOGS}. Ctrl-C stops all of it.")
    sys.stdout.flush()
