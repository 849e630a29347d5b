"""Folders in which DVC runs an experiment and which it then deletes (`dvc exp run --temp`, and those of its queue).

Runs there are tracked where those of the project are, and records that MLflow has not received stay with the project.
"""

import os
from pathlib import Path
from typing import Final

from tasks.runtime.paths import STATE

PROJECT_VARIABLE: Final = "DVC_ROOT"
EXPERIMENT_VARIABLE: Final = "DVC_EXP_NAME"
RECORDS: Final = STATE / "tracking"


def project_of_experiment() -> Path | None:
    """Return the folder of the project whose experiment runs in this temporary folder; None if it is none."""
    root = os.environ.get(PROJECT_VARIABLE)
    if root is None or EXPERIMENT_VARIABLE not in os.environ or Path(root).resolve() == Path.cwd():
        return None
    return Path(root)


def share_records() -> None:
    """Keep records of runs in the project's folder if this is a temporary one of it."""
    project = project_of_experiment()
    if project is None or RECORDS.exists():
        return
    (project / RECORDS).mkdir(parents=True, exist_ok=True)
    RECORDS.parent.mkdir(exist_ok=True)
    RECORDS.symlink_to(project / RECORDS)
