"""Whether the residual tensors are computed on a Ray cluster, and when.

Before DVC runs the stage `materialize_residuals`, the shards that it lacks are computed on the cluster and put where
the stage keeps what it has finished (`residual_shards.py`). The stage then finds them all and publishes them. Its
outs are DVC's as ever, and a run that was killed goes on by shard, with or without a cluster.
"""

from collections.abc import Mapping
from typing import Final

from flows.project.graph import will_run

RAY_VARIABLE: Final = "CORONET_RAY"
"""The address of the cluster, in the environment of a flow's stages."""
STAGE: Final = "materialize_residuals"


def on_ray(address: str | None) -> dict[str, str]:
    """Return the variables by which a flow's stages know of the cluster at `address`, if there is one."""
    return {} if address is None else {RAY_VARIABLE: address}


def fan_out_if_due(stage: str, environment: Mapping[str, str]) -> None:
    """Compute the residual shards on the cluster if `stage` is theirs and DVC would run it in the current folder.

    Raises CoroNetError when the cluster cannot be used.
    """
    address = environment.get(RAY_VARIABLE)
    if stage == STAGE and address and will_run(STAGE):
        from flows.ray.residuals_on_ray import residuals_on_ray  # late: torch

        residuals_on_ray(address)
