"""Which stages are SLURM jobs, and what each asks the cluster for: the YAML file that CORONET_SLURM names."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from coronet_core.support.errors import CoroNetError, ParamsError
from tasks.runtime.paths import ITEMS, STAGES

SLURM_VARIABLE: Final = "CORONET_SLURM"
SHARED: Final = "default"
"""The entry whose values all stages of the file share."""

LEAST_MINUTES: Final = 3
"""submitit ends a job 90 s before its time is up, to queue it again."""

FIXED: Final = ("job_name", "nodes", "ntasks_per_node")
"""Settings that are not the user's: a job is found by its name, and a stage is one process on one node."""

JobSettings = dict[str, Any]
"""What submitit's SlurmExecutor takes, by the names of sbatch's options: partition, time (minutes), mem ..."""


def slurm_variables(path: Path | None) -> dict[str, str]:
    """Return the variables by which stages know of the file at `path`, once it has been read."""
    if path is None:
        return {}
    read_slurm_file(path)
    return {SLURM_VARIABLE: str(path.resolve())}


def settings_of_stage(stage: str) -> JobSettings | None:
    """Return what the job of `stage` (as DVC calls it) asks for; None: the stage runs here.

    A stage with an item, such as train_autoencoder@healthy, has its own entry or that of train_autoencoder. Raises
    ParamsError for a file that cannot be read, CoroNetError where submitit is not installed.
    """
    path = os.environ.get(SLURM_VARIABLE)
    if not path:
        return None
    entries = read_slurm_file(Path(path))
    own = next((entries[name] for name in (stage, stage.partition("@")[0]) if name in entries), None)
    if own is None:
        return None
    if importlib.util.find_spec("submitit") is None:
        raise CoroNetError(
            "submitit is not installed. Install the extra: pip install 'coronet[slurm]' -c constraints.txt"
        )
    settings = {**entries.get(SHARED, {}), **own}
    if "time" not in settings:
        raise ParamsError(f"{path}: {stage}: has no time. Give a job's minutes, for all stages under `{SHARED}`.")
    return settings


def read_slurm_file(path: Path) -> dict[str, JobSettings]:
    """Return the settings by stage. Raises ParamsError if the file is not a mapping of stages to mappings."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ParamsError(
            f"{path}: cannot be read as YAML ({reason}). Name a file as in docs/orchestration.md."
        ) from error
    if not isinstance(content, Mapping):
        raise ParamsError(f"{path}: not a mapping of stages to what their jobs ask for (docs/orchestration.md).")
    items = {f"{stage}@{item}" for stage, of_stage in ITEMS.items() for item in of_stage}
    if unknown := [str(name) for name in content if name not in {SHARED, *STAGES, *items}]:
        raise ParamsError(f"{path}: {unknown[0]}: no such stage. Stages are: {', '.join(STAGES)}.")
    for name, values in content.items():
        if not isinstance(values, Mapping | None):
            raise ParamsError(f"{path}: {name}: not a mapping. Write {name}: {{}} to add nothing to `{SHARED}`.")
        if fixed := [key for key in FIXED if key in (values or {})]:
            raise ParamsError(
                f"{path}: {name}: {fixed[0]} cannot be set. Leave it out: a stage is one task on one node."
            )
        minutes = (values or {}).get("time", LEAST_MINUTES)
        if type(minutes) is not int or minutes < LEAST_MINUTES:
            raise ParamsError(f"{path}: {name}: time = {minutes}: give a whole number of minutes, 3 or more.")
    return {name: dict(values or {}) for name, values in content.items()}
