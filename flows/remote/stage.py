"""The flow `stage`: one stage, run by a worker on whatever host serves the work queue that it was sent to."""

import socket
from pathlib import Path
from typing import Final

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.final_states import failed
from flows.monitoring.stage_progress import stage_log
from flows.project.processes import StageProcesses, stage_environment
from flows.remote.checkout import open_checkout
from flows.remote.dvc_transfer import check_remote, pull, push
from flows.remote.lock_entries import StageInputs, inputs_of, lock_text, locked_project, read_entries, stage_of
from flows.remote.request import StageOrder
from tasks.runtime.progress import AS_LINES, PROGRESS_VARIABLE
from tasks.runtime.tracking.mlflow_delivery import absolute_tracking_uri
from tasks.runtime.tracking.stage_run import PARENT_RUN_VARIABLE

ENTRY_KEY: Final = "dvc-lock-entry"
"""Key of the artifact with the stage's entry of `dvc.lock`."""
FENCE = ("```yaml\n", "```\n")


@flow(name="stage", flow_run_name="{order.stage}", validate_parameters=True)
def stage(order: StageOrder) -> State[None]:
    """Run the requested stage here; its outs go to the DVC remote, its entry of `dvc.lock` into an artifact.

    Args:
        order: The request: the stage, and what it runs on.
    """
    host = socket.gethostname()
    try:
        order.check()
        get_run_logger().info(f"{order.stage} of commit {order.commit[:12]} on {host}")
        entry = _run(order)
        create_markdown_artifact(FENCE[0] + entry + FENCE[1], key=ENTRY_KEY, description=f"dvc.lock: {order.stage}")
    except CoroNetError as error:
        return failed(error)
    return Completed(message=f"done on {host}")


def entry_in(markdown: str) -> str:
    """Return the content of a `dvc.lock` from an artifact of the flow `stage`."""
    return markdown.removeprefix(FENCE[0]).removesuffix(FENCE[1])


def _run(order: StageOrder) -> str:
    """Run the stage; returns its entry as the content of a `dvc.lock`."""
    log = get_run_logger().info
    with open_checkout(order, log) as folder:
        check_remote(folder)
        _bring_inputs(order, folder)
        parent = {} if order.parent_run_id is None else {PARENT_RUN_VARIABLE: order.parent_run_id}
        environment = stage_environment(
            **{PROGRESS_VARIABLE: AS_LINES}, MLFLOW_TRACKING_URI=absolute_tracking_uri(), **parent
        )
        StageProcesses(folder).run(order.stage, environment, stage_log(order.stage), order.timeout_s)
        push([order.stage], folder, log)
        with locked_project(folder):
            return lock_text(read_entries(folder), [order.stage])


def _bring_inputs(order: StageOrder, folder: Path) -> None:
    """Pull what the stage reads, and see that all of it is what it is where the order comes from."""
    log = get_run_logger().info
    with locked_project(folder) as repo:
        needed = inputs_of(repo, order.stage)
        known = read_entries(folder)
        if order.stage not in known:  # outs of another project's run that it would go on from
            for out in stage_of(repo, order.stage).outs:
                if out.persist and out.exists:
                    out.remove()
    pull([out for out in needed.outs if _is_known(out, known)], folder, log)
    with locked_project(folder) as repo:
        _compare(inputs_of(repo, order.stage), order)


def _is_known(out: str, entries: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    """Whether an entry tells what `out` is; the first run of a stage has none to go on from."""
    paths = [Path(one["path"]) for entry in entries.values() for one in entry.get("outs", [])]
    return any(path == Path(out) or path in Path(out).parents or Path(out) in path.parents for path in paths)


def _compare(here: StageInputs, order: StageOrder) -> None:
    missing = sorted(set(order.deps) - set(here.deps))
    other = sorted(dep for dep, md5 in here.deps.items() if order.deps.get(dep, md5) != md5)
    faults = [f"{dep} is not on this host" for dep in missing]
    faults += [f"{dep} on this host is not what the flow's host has" for dep in other]
    if faults:
        remedy = "Make it the same on both (raw data are not sent), or run the stage on the flow's host."
        raise CoroNetError(f"{order.stage} on {socket.gethostname()}: {'; '.join(faults)}. {remedy}")
