"""What a report was made by and from: code, data, environment and runs."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from tasks.runtime.paths import SPLIT_STAGE
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.provenance import commit_date, dvc_hashes_of_deps, library_versions
from tasks.runtime.tracking.stage_run import code_version

CODE = ("coronet_core", "tasks")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a report comes from. What is not known is None or empty."""

    commit: str
    has_local_changes: bool
    committed_at: str | None
    data: dict[str, str]
    """DVC's md5 of raw data, outs and reports by path."""
    code: dict[str, str]
    """The same of the code that the first and the last stage run."""
    versions: dict[str, str]
    device: str
    machine: str
    run_id: str | None
    """MLflow's, of the stage `report`."""
    parent_run_id: str | None
    """MLflow's, of the pipeline run."""
    written_at: str
    """When this was asked, in UTC. With the ids of the runs, all that differs when the same is made again."""


def provenance(context: StageContext) -> Provenance:
    """Return what the stage of `context`, which still runs, was made from."""
    version = code_version()
    hashes = dvc_hashes_of_deps(SPLIT_STAGE, context.name)
    code = {path: md5 for path, md5 in hashes.items() if path.startswith(CODE)}
    return Provenance(
        commit=version["git.commit"],
        has_local_changes=version.get("git.dirty") == "true",
        committed_at=commit_date(),
        data={path: md5 for path, md5 in sorted(hashes.items()) if path not in code},
        code=dict(sorted(code.items())),
        versions=library_versions(),
        device=_device_name(context.device_type),
        machine=f"{platform.system()} on {platform.machine()}",
        run_id=context.tracking.run_id,
        parent_run_id=context.tracking.parent_run_id,
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _device_name(device_type: str) -> str:
    return f"cuda ({torch.cuda.get_device_name()})" if device_type == "cuda" else device_type
