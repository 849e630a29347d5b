"""What a worker is sent to run a stage."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StageOrder:
    """A stage to be run on another host, without a path of the host that sends it."""

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
