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

import pytest

from tests.integration.conftest import Project


@dataclass(frozen=True)
class Host(Project):
    """A project with a home, a cache and settings of its own."""

    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.folder.parent), "PYTHONPATH": str(self.folder)}
        sites = {"DVC_SITE_CACHE_DIR": str(self.folder.parent / "site"), "OMP_NUM_THREADS": "1"}
        return super().environment | own | sites | self.variables

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


@contextmanager
def served(folder: Path, health: str, *module_and_arguments: str, **variables: str) -> Iterator[None]:
    """A server of a Python module in its own process group, until the end; its output goes to a file in `folder`."""
    with running(folder, health, sys.executable, "-m", *module_and_arguments, **variables):
        yield


@contextmanager
def running(folder: Path, health: str, *command: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The same of any command."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment = kept | {"HOME": str(folder), "PREFECT_HOME": str(folder)} | variables
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(health, timeout=2):  # noqa: S310  # on this machine
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        else:
            pytest.fail(f"{health} does not answer:\n{(folder / 'log').read_text()[-3000:]}")
        yield process
    finally:
        if process.poll() is None:
            end_group(process)


def end_group(process: "subprocess.Popen[Any]", sign: signal.Signals = signal.SIGTERM) -> None:
    os.killpg(process.pid, sign)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
