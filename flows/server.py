"""Servers that flows need, as processes that end with the one that started them, even by `kill -9`."""

import functools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from coronet_core.errors import CoroNetError
from flows.process import end_process_group
from tasks.paths import STATE

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 120.0
"""A busy machine takes ten times as long as an idle one."""
LAST_WORDS_S: Final = 5.0
QUIET: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for jobs of language models, which nobody starts
    "DO_NOT_TRACK": "true",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
}
SERVER_LOGS: Final = STATE / "servers"


@contextmanager
def temporary_prefect_server() -> Iterator[None]:
    """Have a Prefect server for as long as this lasts: the one that is configured or, without one, one of our own.

    Prefect would start one by itself, which a killed flow leaves behind. Both use the same database.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if PREFECT_API_URL.value():
        yield
        return
    port = free_port()
    address = f"http://{HOST}:{port}/api"
    command = ["prefect", "server", "start", "--host", HOST, "--port", str(port), "--no-ui"]
    with child_server("prefect", command, f"{address}/health"), temporary_settings({PREFECT_API_URL: address}):
        try:
            yield
        finally:  # what is still on its way, before the server goes
            APILogHandler().flush()
            EventsWorker.drain_all(timeout=LAST_WORDS_S)


@contextmanager
def child_server(name: str, command: Sequence[str], health: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the module and arguments `command` until this is left; begins when `health` answers 200.

    What it prints goes to a file of this name. Raises CoroNetError if it ends or does not answer in time.
    """
    SERVER_LOGS.mkdir(parents=True, exist_ok=True)
    log = SERVER_LOGS / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.child", *command],
            env={**os.environ, **QUIET, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(process, health, log)
        yield process
    finally:
        end_process_group(process)


def _wait_until_healthy(process: "subprocess.Popen[str]", health: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_healthy(health):
        if process.poll() is not None:
            raise CoroNetError(f"the server has ended with code {process.returncode}: {_last_line(log)} (see {log})")
        if time.monotonic() > deadline:
            raise CoroNetError(f"{health} does not answer after {START_TIMEOUT_S:.0f} s: see {log}")
        time.sleep(0.2)


def is_healthy(health: str) -> bool:
    """Whether a server answers 200 at this address."""
    try:
        return _client().get(health).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@functools.cache
def _client() -> httpx.Client:
    """One for all questions: each client first reads the machine's certificates, at the cost of the starting server."""
    return httpx.Client(timeout=5)


def free_port() -> int:
    """Return a port of this host that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
