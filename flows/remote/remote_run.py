"""A stage given to another host: ordered, followed, and its results brought home as if it had run here."""

import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException, PrefectHTTPStatusError
from prefect.states import Cancelling

from coronet_core.support.errors import CoroNetError, TransientError
from flows.monitoring.automations import has_crash_detection
from flows.monitoring.final_states import TRANSIENT_FAILURE
from flows.monitoring.work_pool import POOL
from flows.project.git import CODE
from flows.remote.dvc_transfer import check_remote, end_transfers, pull, push
from flows.remote.lock_entries import inputs_of, lock_text, locked_project, merge_entry, read_entries, what_is_stale
from flows.remote.monitor import Follower, Timeouts
from flows.remote.request import StageOrder
from flows.remote.stage import ENTRY_KEY, entry_in
from tasks.runtime.params.checks import PARAMS_FILE

DEPLOYMENT: Final = "stage/stage"
WITHOUT_DETECTION: Final = (
    "warning: this Prefect server does not detect a lost host, so the run could wait for its stage for ever. Type "
    "`coronet deploy`, which creates the automation, or switch the automation on."
)

_ordered: set[UUID] = set()
"""Flow runs that other hosts work on for this process."""


@dataclass(frozen=True)
class RemotePlace:
    """Where another host takes a stage from."""

    queue: str
    """Work queue of the pool."""
    parent_run_id: str | None
    """MLflow's id of the run that the stage's is nested under; None if no server has received it."""
    timeout_s: float | None = None
    """The stage is ended there when it takes longer; None: never."""
    timeouts: Timeouts = field(default_factory=Timeouts)


def run_remotely(stage: str, place: RemotePlace, on_line: Callable[[str], None]) -> bool:
    """Run `stage` of the project in the current folder on a host whose worker serves the queue; wait for its results.

    Afterwards its outs and its entry of `dvc.lock` are here, as if it had run here. Returns False if it was up to date
    and nothing was run. Raises TransientError for what another try may mend, CoroNetError for what it would not.
    """
    if not _is_stale(stage):
        return False
    _fetch_results(stage, _ordered_run(stage, place, on_line), on_line)
    return True


def end_remote_work(on_line: Callable[[str], None]) -> None:
    """Cancel what other hosts run for this process, and end its transfers; `on_line` is told what goes on."""
    for flow_run_id in list(_ordered):
        _cancel(flow_run_id, on_line)
    end_transfers()


def _ordered_run(stage: str, place: RemotePlace, on_line: Callable[[str], None]) -> UUID:
    """Have the stage run; returns the flow run that has completed."""
    order = _order(stage, place, on_line)
    flow_run_id = _submit(order, place.queue, on_line)
    on_line(f"sent to the queue {place.queue} of the pool {POOL}: flow run {flow_run_id}")
    _ordered.add(flow_run_id)
    try:
        state = Follower(flow_run_id, POOL, place.queue, on_line, place.timeouts).follow()
    except BaseException:
        _cancel(flow_run_id, on_line)
        raise
    finally:
        _ordered.discard(flow_run_id)
    _check(state, place.queue)
    return flow_run_id


def _order(stage: str, place: RemotePlace, on_line: Callable[[str], None]) -> StageOrder:
    """Write the order, once all that the stage reads is on the DVC remote."""
    commit = _commit()
    check_remote()
    with locked_project() as repo:
        inputs, entries = inputs_of(repo, stage), read_entries()
    push([out for out in inputs.outs if Path(out).exists()], Path(), on_line)
    return StageOrder(
        stage=stage,
        commit=commit,
        params=PARAMS_FILE.read_text(encoding="utf-8"),
        lock=lock_text(entries, dict.fromkeys([*inputs.upstream, stage])),
        deps=inputs.deps,
        timeout_s=place.timeout_s,
        parent_run_id=place.parent_run_id,
    )


def _commit() -> str:
    """Return the commit of the code. Raises CoroNetError if the code differs from it."""
    try:
        changed = _git("status", "--porcelain", "--untracked-files=all", "--", *CODE).splitlines()
        commit = _git("rev-parse", "HEAD").strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise CoroNetError(
            "stages on other hosts get the code by git: this folder is not a clone with a commit."
        ) from error
    if changed:
        files = ", ".join(line[3:] for line in changed)
        raise CoroNetError(f"not committed: {files}. Another host gets the code by git: commit it and push it first.")
    return commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def _submit(order: StageOrder, queue: str, on_line: Callable[[str], None]) -> UUID:
    try:
        if not has_crash_detection():
            on_line(WITHOUT_DETECTION)
        parameters = {"order": asdict(order)}
        run = run_deployment(
            DEPLOYMENT, parameters=parameters, flow_run_name=order.stage, work_queue_name=queue, timeout=0
        )
    except ObjectNotFound as error:
        raise CoroNetError(
            f"Prefect's server has no deployment {DEPLOYMENT}. Set PREFECT_API_URL to the server that all hosts "
            "share, and type `coronet deploy`."
        ) from error
    except PrefectHTTPStatusError as error:
        raise CoroNetError(f"Prefect's server refuses the request: {error}") from error
    except (httpx.HTTPError, PrefectException) as error:
        raise TransientError(f"Prefect's server accepts no request ({type(error).__name__}: {error})") from error
    return UUID(str(run.id))  # type: ignore[union-attr]  # run_deployment is typed for both worlds, async and not


def _check(state: State[Any], queue: str) -> None:
    if state.is_completed():
        return
    message = state.message or f"ended as {state.name}"
    if state.is_cancelled():
        raise CoroNetError(f"cancelled on the worker of the queue {queue}")
    raise (TransientError if state.name == TRANSIENT_FAILURE or state.is_crashed() else CoroNetError)(message)


def _fetch_results(stage: str, flow_run_id: UUID, on_line: Callable[[str], None]) -> None:
    """Merge the entry of the stage, pull its outs, and see that DVC takes it for up to date."""
    merge_entry(stage, _entry(flow_run_id))
    pull([stage], Path(), on_line)
    with locked_project() as repo:
        stale = what_is_stale(repo, stage)
    if stale:
        raise CoroNetError(f"{stage} was run by another host, but DVC finds here: {'; '.join(stale)}. Run it again.")


def _entry(flow_run_id: UUID) -> str:
    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]), key=ArtifactFilterKey(any_=[ENTRY_KEY])
    )
    try:
        with get_client(sync_client=True) as client:
            found = client.read_artifacts(artifact_filter=wanted)
    except httpx.HTTPError as error:
        raise TransientError(f"Prefect's server does not return the entry of dvc.lock ({error})") from error
    if not found:
        raise CoroNetError(f"flow run {flow_run_id} has left no artifact {ENTRY_KEY}: is its worker's code older?")
    return entry_in(str(found[0].data))


def _is_stale(stage: str) -> bool:
    with locked_project() as repo:
        return bool(what_is_stale(repo, stage))


def _cancel(flow_run_id: UUID, on_line: Callable[[str], None]) -> None:
    """Ask Prefect to cancel a flow run; says so if the server cannot be asked, for then the stage goes on."""
    try:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run_id, Cancelling(message="cancelled with the run that requested it"))
    except (httpx.HTTPError, PrefectException) as error:
        on_line(
            f"warning: flow run {flow_run_id} is not cancelled, and its stage goes on: Prefect's server accepts no "
            f"request ({type(error).__name__}). Cancel it on Prefect's page."
        )
