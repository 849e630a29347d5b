"""Sending the stages' run records to MLflow from the flow, so that no stage has to load MLflow."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.runtime.tracking.mlflow_delivery import deliver_all, deliver_leftovers
from tasks.runtime.tracking.orphaned_runs import close_abandoned, end_lost_runs
from tasks.runtime.tracking.stage_run import SECONDS_AFTER_FAILURE, SECONDS_BETWEEN_DELIVERIES


@contextmanager
def records_delivered() -> Iterator[None]:
    """Deliver the records of this project, those of its workspaces included, as they come, and what is left at the end.

    Where the flow is killed they stay on disk, and the next run delivers them.
    """
    is_over = threading.Event()

    def deliver_until_over() -> None:
        pause_s = SECONDS_BETWEEN_DELIVERIES
        end_lost_runs()
        while not is_over.wait(pause_s):
            close_abandoned()
            pause_s = SECONDS_BETWEEN_DELIVERIES if deliver_all() else SECONDS_AFTER_FAILURE

    sync_thread = threading.Thread(target=deliver_until_over, name="mlflow-sync", daemon=True)
    sync_thread.start()
    try:
        yield
    finally:
        is_over.set()
        sync_thread.join()
        deliver_leftovers()
