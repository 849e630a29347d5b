"""Waiting for Prefect's server while it restarts, as Prefect itself does within a run."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from coronet_core.support.errors import TransientError

RETRY_FOR_S: Final = 60.0
"""About as long as Prefect's engine waits."""
POLL_S: Final = 2.0

Answer = TypeVar("Answer")


def retry_until_reachable(ask: Callable[[], Answer], retry_for_s: float = RETRY_FOR_S) -> Answer:
    """Return what `ask` returns, asking again for `retry_for_s` as long as the server cannot be reached.

    Raises TransientError when it cannot be reached for that long.
    """
    deadline = time.monotonic() + retry_for_s
    while True:
        try:
            return ask()
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise TransientError(f"Prefect's server does not answer ({type(error).__name__}).") from error
            time.sleep(POLL_S)
