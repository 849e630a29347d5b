"""A lock on what two processes must not do to one project at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from coronet_core.support.errors import CoroNetError
from tasks.runtime.paths import STATE

RETRAIN_LOCK: Final = STATE / "retrain.lock"
"""Held by the run of the project's DAG, whoever started it."""


@contextmanager
def alone(lock: Path, name: str) -> Iterator[None]:
    """Hold `lock` for as long as this process does what is called `name`; the kernel frees it however that ends.

    Raises CoroNetError when another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise CoroNetError(f"{name} is already running in another process. Wait for it, then try again.") from error


def is_held(lock: Path) -> bool:
    """Say whether a process holds `lock` now."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
