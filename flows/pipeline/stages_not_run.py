"""Stages that are skipped because an upstream stage did not complete.

Prefect leaves their tasks pending and names what they wait for by an id; here they get an end that names the stage.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.futures import PrefectFuture
from prefect.states import Cancelled

from flows.monitoring.final_states import NOT_RUN
from flows.project.graph import Stage

LAST_WORDS_S: Final = 10.0
"""For stages that are ending to report it, and for the server to learn which stages wait for them."""
POLL_S: Final = 0.2
PREFECTS_NAME: Final = "NotReady"
"""The last state that Prefect's engine gives such a task; the server writes it down when it comes to it."""


def end_those_not_run(stages: Sequence[Stage], futures: Mapping[str, PrefectFuture[Any]]) -> None:
    """Tell Prefect of each of `stages` that is never begun; a server that does not answer is skipped.

    `futures` are theirs by name, as far as they were submitted; those that run have ended or been told to end.
    """
    deadline = time.monotonic() + LAST_WORDS_S
    submitted = [stage for stage in stages if stage.name in futures]
    for stage in submitted:
        futures[stage.name].wait(max(0.0, deadline - time.monotonic()))
    with suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        states = {stage.name: futures[stage.name].state for stage in submitted}
        for stage in submitted:
            if states[stage.name].name == PREFECTS_NAME:
                missing = ", ".join(name for name in stage.upstream if not states[name].is_completed())
                _end(client, futures[stage.name], f"upstream stages did not complete: {missing}", deadline)


def _end(client: SyncPrefectClient, future: PrefectFuture[Any], message: str, deadline: float) -> None:
    """Give a task its end once the server knows all that the engine has said of it, which would replace it."""
    while not _is_recorded(client, future) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    state: State[None] = Cancelled(name=NOT_RUN, message=message)
    client.set_task_run_state(future.task_run_id, state, force=True)


def _is_recorded(client: SyncPrefectClient, future: PrefectFuture[Any]) -> bool:
    try:
        return client.read_task_run(future.task_run_id).state_name == PREFECTS_NAME
    except ObjectNotFound:
        return False
