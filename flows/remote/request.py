"""The request by which a worker is asked to run a stage."""

from dataclasses import dataclass

from pydantic import ConfigDict

from flows.remote.lock_entries import check_lock
from tasks.runtime.safe_text.identifiers import GIT_COMMIT, RUN_ID, STAGE_NAME, matching


@dataclass(frozen=True, kw_only=True)
class StageOrder:
    """A stage to be run on another host, without a path of the host that sends it."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)  # Prefect's form shows them

    stage: str
    """As DVC addresses it: `train_autoencoder@healthy`."""
    commit: str
    """The commit of the code; the worker's clone has it or can fetch it."""
    params: str
    """Content of `params.yaml`, which may differ from the commit's."""
    lock: str
    """Content of a `dvc.lock` with the stage and those it reads from: which outs to pull."""
    deps: dict[str, str]
    """MD5 of each dep where the order comes from: what the worker has must be the same."""
    timeout_s: float | None
    """The stage is ended when it takes longer; None: never."""
    parent_run_id: str | None
    """MLflow's id of the pipeline run; None if no MLflow server has received it."""

    def check(self) -> None:
        """Raise DataError for what no flow of this project would order: it becomes paths, and arguments of git and DVC.

        Whoever can start a run on Prefect's server writes an order.
        """
        matching(STAGE_NAME, self.stage, "order: stage")
        matching(GIT_COMMIT, self.commit, "order: commit")
        if self.parent_run_id is not None:
            matching(RUN_ID, self.parent_run_id, "order: parent_run_id")
        check_lock(self.lock)
