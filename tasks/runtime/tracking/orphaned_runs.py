"""Runs whose process is gone: ended here and in MLflow by the process of this host that comes next.

On disk, the lock of a record decides. In MLflow there may be more of them: of another folder, or of a record that was
deleted; there the owner named in a run's tags decides.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final

from tasks.runtime.tracking.mlflow_delivery import (
    DEFAULT_EXPERIMENT,
    RECORD_TAG,
    SQLITE,
    deliver,
    mlflow_client,
    tracking_uri,
)
from tasks.runtime.tracking.run_owner import TAG, Owner
from tasks.runtime.tracking.run_record import RunRecord, all_records

WAIT_S: Final = 15.0
"""For a server to take something, which may be away: then what is to be sent is kept."""
POLL_S: Final = 0.2
KILLED: Final = "KILLED"
END: Final = "end"


def end_abandoned_runs(*, is_delivered_elsewhere: bool = False) -> None:
    """End the runs of this project whose process is gone, and report it to MLflow before new ones begin.

    If another process delivers (`is_delivered_elsewhere`), that one reports it. It may be killed before it does so:
    what any process has closed is reported here too. Stops waiting for MLflow when the server accepts nothing for
    WAIT_S; the rest is sent later.
    """
    close_abandoned()
    if not is_delivered_elsewhere:
        _report_to_mlflow()


def close_abandoned() -> None:
    """Write down, here alone, the end of runs of this project whose process is gone."""
    _close(RunRecord.close_if_abandoned)


def end_own_runs() -> None:
    """End the runs of this process, which is about to go, and those that are abandoned; waits as the one above."""
    _close(_close_own)
    close_abandoned()
    _report_to_mlflow()


def end_lost_runs() -> None:
    """End the runs that are running in MLflow, in this experiment, of processes of this host that are gone.

    Nothing is said of a server that is away: the next one asks again.
    """
    with suppress(Exception):  # whatever a client library raises, runs of others must not stop this one
        client, this = mlflow_client(), Owner.this_process()
        experiment = client.get_experiment_by_name(os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT))
        if experiment is None:
            return
        here = {record.key: record for record in all_records()}
        running = f"attributes.status = 'RUNNING' and tags.`{TAG}system` = '{this.system}'"
        for run in client.search_runs([experiment.experiment_id], running):
            owner = Owner.of_tags(run.data.tags)
            if owner is not None and owner.is_gone:
                record = here.get(run.data.tags.get(RECORD_TAG, ""))
                client.set_terminated(run.info.run_id, (record and record.end_status) or KILLED)


def _close(close: Callable[[RunRecord], object]) -> None:
    for record in all_records():
        with suppress(OSError, ValueError):  # a record that a disk has spoilt must not stop a command
            close(record)


def _close_own(record: RunRecord) -> None:
    if record.owner is not None and record.owner.is_this_process and not record.is_ended:
        record.write_end(KILLED)


def _report_to_mlflow() -> None:
    """Send what has ended if runs were killed: to a file however long it takes, to a server as long as it responds."""
    if all(record.end_status != KILLED for record in all_records()):
        return
    steps: SimpleQueue[str] = SimpleQueue()
    with suppress(Exception):  # nobody is there, and nothing need be said of it: the next delivery does
        mlflow_client()  # imports MLflow: the time that takes says nothing of a server
        Thread(target=_send_all, args=(steps,), name="abandoned-runs", daemon=True).start()
        while steps.get(timeout=None if tracking_uri().startswith(SQLITE) else WAIT_S) != END:
            pass


def _send_all(steps: SimpleQueue[str]) -> None:
    """Send what has ended, and put a word into `steps` for each step of it, at last END."""
    with suppress(Exception):  # as above
        mlflow_client().search_experiments(max_results=1)
        for record in all_records():
            steps.put("reached")
            while record.is_ended and deliver(record):
                time.sleep(POLL_S)  # another thread is still delivering the events before the last one
        steps.put("sent")
        end_lost_runs()
    steps.put(END)
