"""Servers as processes that end with the one that started them, even by `kill -9`."""

import functools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from coronet_core.support.errors import CoroNetError, ParamsError
from flows.project.processes import end_process_group
from tasks.runtime.paths import STATE

HOST: Final = "127.0.0.1"
SERVER_LOGS: Final = STATE / "servers"
TIMEOUT_VARIABLE: Final = "CORONET_SERVER_START_TIMEOUT_S"
"""Environment variable: how long a server may take to answer while its process lives."""
DEFAULT_TIMEOUT_S: Final = 900.0
"""A busy machine takes many times as long as an idle one."""
ANSWER_S: Final = 5.0
REPORT_EVERY_S: Final = 5.0
POLL_S: Final = 0.2
QUIET: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for jobs of language models, which nobody starts
    "DO_NOT_TRACK": "true",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
}


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


@contextmanager
def child_server(name: str, server: Server) -> Iterator["subprocess.Popen[str]"]:
    """Run `server` until this is left; begins when it answers. What it prints goes to the log of this `name`.

    Raises CoroNetError if it ends, or lives and does not answer in the time that CORONET_SERVER_START_TIMEOUT_S allows.
    """
    timeout_s = start_timeout_s()
    SERVER_LOGS.mkdir(parents=True, exist_ok=True)
    log = SERVER_LOGS / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.project.subprocess_entry", *server.command],
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(process, server, log, timeout_s)
        yield process
    finally:
        end_process_group(process)


def start_timeout_s() -> float:
    """Return how long a server may take to start, in seconds. Raises ParamsError for what is no such time."""
    text = os.environ.get(TIMEOUT_VARIABLE, str(DEFAULT_TIMEOUT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ParamsError(f"{TIMEOUT_VARIABLE} = {text}: allowed: seconds above 0, such as {DEFAULT_TIMEOUT_S:.0f}.")
    return seconds


def _wait_until_healthy(process: "subprocess.Popen[str]", server: Server, log: Path, timeout_s: float) -> None:
    """Wait for as long as the process lives, and report every few seconds on standard error."""
    began = time.monotonic()
    next_report_s = REPORT_EVERY_S
    while not is_healthy(server.health):
        waited_s = time.monotonic() - began
        if process.poll() is not None:
            raise CoroNetError(f"{server.title} ended with code {process.returncode}: {_last_line(log)} (see {log})")
        if waited_s > timeout_s:
            raise CoroNetError(
                f"{server.title} is running but did not answer at {server.health} within {timeout_s:.0f} s: see {log}. "
                f"Allow it more time with {TIMEOUT_VARIABLE}."
            )
        if waited_s > next_report_s:
            print(f"waiting for {server.title} ({waited_s:.0f} s; log: {log})", file=sys.stderr, flush=True)
            next_report_s += REPORT_EVERY_S
        time.sleep(POLL_S)


def is_healthy(health: str, timeout_s: float = ANSWER_S) -> bool:
    """Whether a server answers 200 at this address."""
    try:
        return _client().get(health, timeout=timeout_s).status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


@functools.cache
def _client() -> httpx.Client:
    """One for all questions: each client first reads the machine's certificates, at the cost of the starting server."""
    return httpx.Client()


def free_port() -> int:
    """Return a port of this host that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
