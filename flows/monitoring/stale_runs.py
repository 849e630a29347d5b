"""Stale runs: the next run of the same work marks killed ones as crashed on Prefect's page."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
from prefect import get_client, runtime
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import PrefectException

from flows.project.run_lock import alone
from tasks.runtime.files import write_text
from tasks.runtime.resume import set_aside

MESSAGE = "Its process is gone. A later run resumes where it stopped."


@contextlib.contextmanager
def alone_as_run(lock: Path, name: str) -> Iterator[None]:
    """Be `alone` in a flow run; one that held `lock` before and was killed is marked as crashed on Prefect's page.

    A file beside the lock names the run. Raises CoroNetError when another process holds it.
    """
    with alone(lock, name), _on_record(lock.with_suffix(".run")):
        yield


def crash_abandoned(flow_run_id: UUID) -> None:
    """Give the flow run, whose process is gone, and all below it a final state if they have none.

    A server that does not know the run, or does not answer, is left alone.
    """
    with contextlib.suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        _crash(client, client.read_flow_run(flow_run_id))


def _crash(client: SyncPrefectClient, run: FlowRun) -> None:
    below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
    for child in client.read_flow_runs(flow_run_filter=below):
        _crash(client, child)
    for task in client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))):
        if task.state is not None and not task.state.is_final():
            client.set_task_run_state(task.id, _crashed(), force=True)
    if run.state is not None and not run.state.is_final():
        client.set_flow_run_state(run.id, _crashed(), force=True)


def _crashed() -> State[None]:
    return State(type=StateType.CRASHED, name="Crashed", message=MESSAGE)


def _noted(note: Path) -> UUID | None:
    """Return the id of the flow run in `note`; None if there is none, or a damaged one, which is set aside."""
    if not note.is_file():
        return None
    try:
        return UUID(note.read_text(encoding="utf-8"))
    except ValueError:
        set_aside(note, note.parent)
        return None


@contextlib.contextmanager
def _on_record(note: Path) -> Iterator[None]:
    """Keep the id of this flow run in `note`; it stays if this fails or is killed, for the next one to look after."""
    if (former := _noted(note)) is not None:
        crash_abandoned(former)
    if (run_id := runtime.flow_run.get_id()) is not None:
        write_text(note, run_id)
    yield
    note.unlink(missing_ok=True)
