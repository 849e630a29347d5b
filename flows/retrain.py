"""The flow `retrain`: every stage of `dvc.yaml`, run as far as it is stale."""

import sys
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from coronet_core.errors import CoroNetError
from flows.artifacts import publish_artifacts
from flows.cluster import require_ray
from flows.graph import read_graph, stale_stages
from flows.residual_fan_out import on_ray
from flows.stages import UP_TO_DATE, run_stages
from tasks.params.file import read_params
from tasks.tracking.run import StageRun

PIPELINE = "pipeline"


@flow(name="retrain")
def retrain(ray: str | None = None) -> State[None]:
    """Bring all stages up to date. The whole is one MLflow run, and each stage that runs is nested under it.

    `ray` is the address of a Ray cluster that computes the residual tensors: `local`, `auto` or `ray://...`.
    """
    params = read_params()
    stages = read_graph()
    if not stale_stages(stage.name for stage in stages):
        get_run_logger().info("all stages are up to date: nothing to do")
        return Completed(name=UP_TO_DATE, message="all stages are up to date")
    try:
        if ray is not None:
            require_ray()
        with StageRun(PIPELINE, params) as pipeline:
            run_stages(stages, Path(), pipeline, **on_ray(ray))
            publish_artifacts()
    except CoroNetError as error:
        return Failed(message=str(error))
    return Completed(message=f"{len(stages)} stages")


if __name__ == "__main__":
    from flows.run import main

    sys.exit(main(lambda: retrain(return_state=True)))
