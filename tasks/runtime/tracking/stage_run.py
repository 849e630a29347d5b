"""Tracking: every executed stage is an MLflow run, nested under the pipeline run of the flow that started it.

Stage outputs are the truth and MLflow mirrors them. Nothing here ever stops a stage: a run is first recorded on disk
(`tasks/runtime/tracking/run_record.py`) and then delivered (`tasks/runtime/tracking/mlflow_delivery.py`).
"""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from coronet_core.support.credentials import first_words
from coronet_core.support.errors import DataError
from tasks.runtime.progress import log_metrics
from tasks.runtime.tracking.mlflow_delivery import deliver
from tasks.runtime.tracking.orphaned_runs import end_abandoned_runs
from tasks.runtime.tracking.provenance import code_version, data_address, dvc_hashes, source_tags
from tasks.runtime.tracking.run_owner import Owner
from tasks.runtime.tracking.run_record import RunRecord

PARENT_VARIABLE = "CORONET_PIPELINE_RECORD"
"""Environment variable by which a flow passes its stages the record of their parent run."""
PARENT_RUN_VARIABLE = "CORONET_PIPELINE_RUN"
"""The same for a stage on another host, where there is no such record: MLflow's id of the parent run."""
DELIVERED_VARIABLE = "CORONET_RECORDS_DELIVERED"
"""Environment variable by which a flow tells its stages that it delivers their records, so that they need not load
MLflow, which takes them seconds."""
DIGESTS: Final = "dvc.json"
"""Artifact of a run: path to MD5 of what its stage read and made."""
SECONDS_BETWEEN_DELIVERIES = 5.0
SECONDS_AFTER_FAILURE = 60.0


class StageRun:
    """The run of one stage or pipeline. A context manager: leaving it ends the run."""

    def __init__(
        self,
        name: str,
        params: Any,
        parent: str | None = None,
        *,
        parent_run_id: str | None = None,
        shown_as: str | None = None,
    ) -> None:
        """`parent` is the key of the run that this one is nested under; default: the value of PARENT_VARIABLE.

        Or `parent_run_id` is what MLflow calls it. MLflow shows the run as `shown_as`; default: `name`.
        """
        end_abandoned_runs(is_delivered_elsewhere=is_delivered_elsewhere())
        code = code_version()
        self._name = name
        self._record = RunRecord.begin(
            work=name if parent is None else f"{_name_of(parent)}/{name}",
            params=flattened(params),
            name=name,
            shown_as=shown_as or name,
            tags=code | source_tags(name, code["git.commit"]) | Owner.this_process().as_tags(),
            parent=parent or os.environ.get(PARENT_VARIABLE),
            parent_run_id=parent_run_id or os.environ.get(PARENT_RUN_VARIABLE),
        )
        self._is_delivered_elsewhere = is_delivered_elsewhere()
        self._next_delivery = 0.0

    @property
    def key(self) -> str:
        """Key of the run's record, for runs nested under this one."""
        return self._record.key

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, None as long as no server has received it."""
        return self._record.run_id

    @property
    def parent_run_id(self) -> str | None:
        """MLflow's id of the run that this one is nested under, None if there is none or no server has received it."""
        return self._record.parent_run_id

    @property
    def resumption(self) -> str | None:
        """A sentence about the run that this one resumes; None if there is none."""
        resumed = self._record.resumes
        if resumed is None:
            return None
        return f"resumes a run that did not finish: {resumed.run_id or 'MLflow has not received it'}"

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log `values` at `step`; delivered at most every few seconds, so that training does not wait for MLflow."""
        self._record.append("metrics", values=dict(values), step=step)
        log_metrics(values, step)
        if not self._is_delivered_elsewhere and time.monotonic() >= self._next_delivery:
            self.deliver()

    def artifact(self, path: Path, name: Path | None = None) -> None:
        """Log the file `path` as an artifact, under its own path or, wherever it lies, as `name`."""
        self._record.append("artifact", file=self._record.keep(path, name))

    def dataset(self, manifest: Path) -> None:
        """Log the data set that `manifest` describes as an input of the run."""
        self._record.append("dataset", file=self._record.keep(manifest), address=data_address(manifest))

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._record.append("tags", values=dict(values))

    def show_as(self, name: str) -> None:
        """Have MLflow show the run under another name."""
        self._record.append("name", name=name)

    def deliver(self) -> None:
        """Send MLflow what it has not received yet; what cannot be delivered now is kept for the next time."""
        delivered = deliver(self._record)
        self._next_delivery = time.monotonic() + (SECONDS_BETWEEN_DELIVERIES if delivered else SECONDS_AFTER_FAILURE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._log_digests()
        elif isinstance(error, Exception):
            self.tags({"error": type(error).__name__ if isinstance(error, DataError) else first_words(error, 500)})
        self._record.end("FINISHED" if error is None else "FAILED" if isinstance(error, Exception) else "KILLED")
        if not self._is_delivered_elsewhere:
            self.deliver()
        end_abandoned_runs(is_delivered_elsewhere=self._is_delivered_elsewhere)  # of stages that were ended with this

    def _log_digests(self) -> None:
        """Log DVC's digests of what the stage read and made; those of its outs also as tags, to find the run by."""
        digests = dvc_hashes(self._name)
        if any(digests.values()):
            self._record.append("artifact", file=self._record.keep_json(DIGESTS, digests))
            self.tags({f"dvc.{path}": md5 for path, md5 in digests["outs"].items()})


def is_delivered_elsewhere() -> bool:
    """Say whether the flow that started this process delivers its records."""
    return DELIVERED_VARIABLE in os.environ


def _name_of(key: str) -> str:
    start = RunRecord(key).start
    return key if start is None else str(start["name"])


def flattened(value: Any, prefix: str = "") -> dict[str, str]:
    """Return nested params as MLflow takes them: `data.image_size_px` -> "64"."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if not isinstance(value, Mapping):
        return {prefix: str(value)}
    parts = [flattened(nested, f"{prefix}.{key}" if prefix else str(key)) for key, nested in value.items()]
    return {key: text for part in parts for key, text in part.items()}


def numbers_of(nested: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested metrics as MLflow takes them, under dotted names; lists and nulls are left out."""
    numbers: dict[str, float] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            numbers |= numbers_of(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            numbers[f"{prefix}{name}"] = float(value)
    return numbers


class SilentRun(StageRun):
    """A StageRun without a record."""

    def __init__(self) -> None:
        """Record nothing."""

    @property
    def run_id(self) -> None:
        """There is none."""

    @property
    def parent_run_id(self) -> None:
        """There is none."""

    @property
    def resumption(self) -> None:
        """There is none."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log nothing."""

    def artifact(self, path: Path, name: Path | None = None) -> None:
        """Log nothing."""

    def dataset(self, manifest: Path) -> None:
        """Log nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Set nothing."""

    def show_as(self, name: str) -> None:
        """Change nothing."""

    def deliver(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End nothing."""
