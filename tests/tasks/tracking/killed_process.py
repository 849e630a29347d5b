"""A process that is killed in the middle of a run."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.runtime.tracking.mlflow_delivery import deliver_all
from tests.tasks.tracking.mlflow_runs import runs

STAGE = "train_autoencoder@healthy"
PROGRAM = f"""
import time
from tasks.runtime.tracking.stage_run import StageRun
with StageRun("{STAGE}", {{}}):
    print("begun", flush=True)
    time.sleep(60)
"""


@contextmanager
def process_in_a_run() -> Iterator[None]:
    """A process that has begun a run, and is killed in the end. It does not load MLflow, which would take seconds."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            process.kill()


def killed_run() -> str:
    """Have a process begin a run and be killed; returns MLflow's id of the run, which is running there."""
    with process_in_a_run():
        deliver_all()
    run = runs()[STAGE]
    assert run.info.status == "RUNNING"
    return str(run.info.run_id)
