"""Hosts and servers of integration tests: real processes on this machine, each with a home of its own."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flows.servers.server_process import QUIET, free_port
from tests.integration.conftest import Project, with_this_interpreter_first

HTTP = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
"""Asks servers, some of which are killed: no connection is kept. One for all: each reads the machine's certificates."""


def ask_json(method: str, address: str, **body: Any) -> Any:
    """What a server answers to JSON. Prefect's on SQLite is now and then too busy, and is asked again.

    It says so (503), or is silent for longer than `HTTP` waits; then only what changes nothing is asked again.
    """
    is_question = method == "GET" or address.endswith("/filter")
    for is_last in (False,) * 9 + (True,):
        try:
            answer = HTTP.request(method, address, json=None if method == "GET" else body)
        except httpx.ReadTimeout:
            if is_last or not is_question:
                raise
            continue
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(1)
    return answer.raise_for_status().json()


@dataclass(frozen=True)
class Host(Project):
    """A project with a home, a cache and settings of its own."""

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.folder.parent), "PYTHONPATH": str(self.folder)}
        site = {"DVC_SITE_CACHE_DIR": str(self.folder.parent / "site")}
        return super().environment | own | site | self.variables

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True)

    def python(self, code: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, code: str) -> str:
        with self.python(code) as process:
            return process.communicate()[0]


@dataclass
class Service:
    """A long-running program in its own process group, to kill and start again. Its output is in a file."""

    folder: Path
    health: str
    """An address that answers when it is ready; empty: it is taken for ready at once."""
    command: tuple[str, ...]
    environment: dict[str, str]
    process: "subprocess.Popen[Any] | None" = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(240 if self.health else 0):
            try:
                with urllib.request.urlopen(self.health, timeout=2):  # noqa: S310  # on this machine
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        if self.health:
            pytest.fail(f"{self.health} does not answer:\n{(self.folder / 'log').read_text()[-3000:]}")

    def kill(self) -> None:
        """Kill all of it at once, without a word."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def end(self) -> None:
        """End it politely."""
        if self.process is not None and self.process.poll() is None:
            end_group(self.process)


@contextmanager
def served(folder: Path, health: str, *module_and_arguments: str, **variables: str) -> Iterator[Service]:
    """A server of a Python module with a home of its own, until the end."""
    with running(folder, health, sys.executable, "-m", *module_and_arguments, **variables) as service:
        yield service


@contextmanager
def served_prefect(folder: Path) -> Iterator[tuple[str, Service]]:
    """A server of Prefect until the end; yields the address of its API, too."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    with served(folder, f"{api}/health", *command) as service:
        yield api, service


@contextmanager
def served_mlflow(folder: Path) -> Iterator[tuple[str, Service]]:
    """A server of MLflow until the end, whose store is in `folder`; yields its address, too."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    store = ("--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts")
    with served(folder, f"{address}/health", *command, *store) as service:
        yield address, service


def runs_in(store: str) -> list[Run]:
    """Return the runs that MLflow has at the address `store`."""
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("coronet")
    return client.search_runs([experiment.experiment_id]) if experiment else []


@contextmanager
def running(folder: Path, health: str, *command: str, **variables: str) -> Iterator[Service]:
    """The same of any command."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    own = {"HOME": str(folder), "PREFECT_HOME": str(folder), "PATH": with_this_interpreter_first()}
    service = Service(folder, health, command, kept | QUIET | own | variables)
    try:
        service.start()
        yield service
    finally:
        service.end()


def end_group(process: "subprocess.Popen[Any]", sign: signal.Signals = signal.SIGTERM) -> None:
    os.killpg(process.pid, sign)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processes_of(host: Host) -> list[psutil.Process]:
    """All processes that work in the folder of `host` or below, with what they were started with."""
    found = psutil.process_iter(["cwd", "cmdline", "environ"])
    return [process for process in found if str(process.info["cwd"] or "").startswith(str(host.folder))]


@contextmanager
def worker_on(host: Host, queue: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of `queue` on `host`; what it says goes to a file, for a full pipe would hold up its stages."""
    command = ("prefect", "worker", "start", "--pool", "coronet", "--type", "process", "--work-queue", queue)
    with (host.folder.parent / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=host.folder,
            env=host.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        if worker.poll() is None:
            end_group(worker)
        worker.wait()


def wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if words in line:
            return
    pytest.fail(f"no {words!r} in:\n{''.join(lines)}")
