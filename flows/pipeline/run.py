"""What `coronet run` does: check, run what is stale, show the figures."""

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coronet_core.support.errors import CoroNetError, TransientError
from flows.monitoring.final_states import TRANSIENT_FAILURE
from flows.project.graph import read_graph, stale_stages
from flows.project.live_params import prepare
from flows.project.processes import Descendants
from flows.project.raw_data import absent_raw_data, require_raw_data
from flows.project.run_lock import RETRAIN_LOCK, alone
from flows.project.summary import print_tables
from flows.servers.addresses import pages
from tasks.runtime.error_handling import exit_code
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import AUDIT, DIFFERENCES_PAGE, METRICS, REPORT, SPLIT_STAGE
from tasks.runtime.tracking.mlflow_delivery import deliver_leftovers
from tasks.runtime.tracking.orphaned_runs import end_own_runs

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def main(run_flow: Callable[[], "State[Any]"], params_file: Path | None = None) -> int:
    """Bring the project in the current folder up to date; returns the exit code.

    `run_flow` runs the flow `retrain` to its final state; it is not called when there is nothing to do. `params_file`
    becomes the live `params.yaml` first. One line on standard error for each thing that went wrong.
    """
    has_run = False

    def work() -> None:
        nonlocal has_run
        has_run = bring_up_to_date(run_flow, params_file)

    if code := exit_code(work):
        return code
    _show_results(has_run=has_run)
    return 0


def bring_up_to_date(run_flow: Callable[[], "State[Any]"], params_file: Path | None = None) -> bool:
    """Run the flow `retrain` if any stage is stale; returns whether. Raises CoroNetError when a stage fails."""
    with alone(RETRAIN_LOCK, "retrain"):  # whose stages read params.yaml
        prepare(params_file)
    stale = stale_stages(stage.name for stage in read_graph())
    if SPLIT_STAGE in stale:
        require_raw_data()
        _require_key()
    else:
        for path in absent_raw_data():
            print(f"{path} is missing: the split made from it counts as up to date. `dvc pull` fetches what DVC has.")
    if stale:
        run_to_end(run_flow)
    else:
        print("All stages are up to date: nothing to do.")
        deliver_leftovers()
        if not DIFFERENCES_PAGE.is_file():  # the last run was ended before it
            from flows.pipeline.run_comparison import compare_last_run  # late: pandas

            compare_last_run()
    return bool(stale)


def _require_key() -> None:
    """Raise ParamsError now rather than behind Prefect's start if ids of patients need a key that is not set."""
    from tasks.build_split.pseudonym_key import ids_of  # late: with nothing to do, no data are read

    ids_of(read_params().data)


def _stop(*_: object) -> None:
    """End at once what runs, then the runs on record, and this process.

    By the signal itself, as a program that does not handle it: a shell sees exit code 130. Nothing is unwound:
    Prefect's threads cannot be interrupted, and one that waits before it tries a stage again, up to LONGEST_DELAY_S,
    would be waited for.
    """
    from flows.remote.remote_run import end_remote_work

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # who types it again does not wait for MLflow
    logging.disable()  # Prefect would log that it retries the stages which end here
    end_remote_work(lambda line: print(line, file=sys.stderr, flush=True))
    Descendants().end()
    print("Stopped. The same command resumes where it stopped.", file=sys.stderr, flush=True)
    end_own_runs()
    signal.raise_signal(signal.SIGINT)


def run_to_end(run_flow: Callable[[], "State[Any]"]) -> "State[Any]":
    """Run a flow and return its final state; Ctrl-C ends it at once.

    Raises CoroNetError when it does not complete, TransientError if the same may yet.
    """
    from prefect import tags

    from flows.monitoring.work_pool import TAG
    from flows.servers.temporary import temporary_prefect_server  # late: with nothing to do, no server is needed

    signal.signal(signal.SIGINT, _stop)
    with temporary_prefect_server(), tags(TAG):
        state = run_flow()
    if not state.is_completed():
        kind = TransientError if state.name == TRANSIENT_FAILURE else CoroNetError
        raise kind(state.message or f"the flow ended as {state.name}")
    return state


def _show_results(*, has_run: bool) -> None:
    print_tables(METRICS, AUDIT)
    print(f"Report: {REPORT.resolve()}")
    if has_run:
        from flows.monitoring.run_names import name_flow_run  # late: Prefect, which is there by now

        print(f"Run: {name_flow_run(stale=())}")
    for title, way in pages().items():
        print(f"{title}'s page: {way}")
