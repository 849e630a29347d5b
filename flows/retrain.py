"""The flow `retrain`: every stage of `dvc.yaml`, run as far as it is stale."""

from pathlib import Path
from typing import Final

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.artifacts import headline, headline_figures, publish_artifacts
from flows.monitoring.final_states import UP_TO_DATE, failed
from flows.monitoring.run_names import name_at_start, name_flow_run
from flows.monitoring.server_wait import retry_until_reachable
from flows.monitoring.stale_runs import alone_as_run
from flows.monitoring.webhook import AT_ITS_END
from flows.pipeline.publication import publish as publish_last_run
from flows.pipeline.publication import require_publishable
from flows.pipeline.raw_data_updates import bring_raw_data
from flows.pipeline.retries import DEFAULT_POLICY, StagePolicy
from flows.pipeline.run_comparison import compare_last_run, forget_differences
from flows.pipeline.stage_tasks import run_stages
from flows.project.graph import leading_to, read_graph, settled, stale_stages
from flows.project.live_params import prepare
from flows.project.preconditions import require_ray
from flows.project.raw_data import require_raw_data
from flows.project.run_lock import RETRAIN_LOCK
from flows.ray.dispatch import RAY_VARIABLE, on_ray
from tasks.promotion.run_differences import keep_former_run
from tasks.registry.version_lineage import is_unpublished
from tasks.runtime.compute.slurm_settings import slurm_variables
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Approval
from tasks.runtime.paths import DIFFERENCES_PAGE, MODEL_CARD, PACKAGE, REPORT, SPLIT_STAGE
from tasks.runtime.safe_text.terminal import printable
from tasks.runtime.tracking.mlflow_delivery import deliver_leftovers
from tasks.runtime.tracking.stage_run import StageRun

PIPELINE: Final = "pipeline"


@flow(name="retrain", flow_run_name=name_at_start, **AT_ITS_END)
def retrain(
    params_file: Path | None = None,
    remote_stages: dict[str, str] | None = None,
    ray: str | None = None,
    slurm: Path | None = None,
    policy: StagePolicy = DEFAULT_POLICY,
    promotion: Approval | None = None,
    reason: str | None = None,
    *,
    update_data: bool = False,
    publish: bool = False,
) -> State[None]:
    """Bring all stages up to date. The whole is one MLflow run, and each stage that runs is nested under it.

    Args:
        params_file: A parameter file to write to params.yaml first, such as params/paper.yaml.
        remote_stages: By stage, the work queue of the pool `coronet` whose worker runs it on another host.
        ray: The address of a Ray cluster that computes the residual tensors: `local`, `auto` or `ray://...`.
        slurm: A YAML file with the stages to run as SLURM jobs, and the resources of each job.
        policy: How often and how long stages are tried.
        promotion: Register and judge the result; `auto` promotes it if it passes, `manual` asks a person first.
        reason: Why, in a few words; the run's name begins with it.
        update_data: Fetch new raw images first, by `dvc update` and `dvc pull`.
        publish: Push the result to DVC's remote, and commit it on a branch of its own, `retrain/<date>-<run>`.
    """
    try:
        with alone_as_run(RETRAIN_LOCK, "retrain"):
            if publish:
                require_publishable()  # before it takes hours
            prepare(params_file)
            if update_data:
                bring_raw_data(read_params().data, lambda line: get_run_logger().info(printable(line)))
            state, run_id = _bring_up_to_date(remote_stages or {}, on_ray(ray) | slurm_variables(slurm), policy, reason)
            if publish and (state.name != UP_TO_DATE or is_unpublished(PACKAGE)):
                state = _published(state, run_id)
            return state if promotion is None else _with_promotion(state, promotion)
    except CoroNetError as error:
        return failed(error)


def _bring_up_to_date(
    remote_stages: dict[str, str], variables: dict[str, str], policy: StagePolicy, reason: str | None
) -> tuple[State[None], str | None]:
    """Run what is stale; returns the state of the flow, and what MLflow calls the run, if it has received it."""
    if RAY_VARIABLE in variables:
        require_ray()
    stages = read_graph()
    for name in remote_stages:
        leading_to(name, stages)  # a wrong name must not wait for the run
    stale = stale_stages(stage.name for stage in stages)
    if SPLIT_STAGE in stale:
        require_raw_data()
    name = name_flow_run(stale, reason)
    if not stale:
        get_run_logger().info("all stages are up to date: nothing to do")
        deliver_leftovers()
        if not DIFFERENCES_PAGE.is_file():  # the last run was ended before it
            compare_last_run()
        return Completed(name=UP_TO_DATE, message=f"nothing to do: {headline()}"), None
    with StageRun(PIPELINE, read_params(), shown_as=name) as pipeline:
        keep_former_run()
        forget_differences()
        run_stages(settled(stages, stale), Path(), pipeline, policy, remote_stages, **variables)
        pipeline.metrics(headline_figures())
        for path in (REPORT, MODEL_CARD):
            pipeline.artifact(path)
        against = compare_last_run()
        pipeline.artifact(DIFFERENCES_PAGE)
        pipeline.show_as(name_flow_run(stale=(), reason=reason))
        retry_until_reachable(lambda: publish_artifacts(pipeline, against))
    return Completed(message=headline()), pipeline.run_id


def _published(state: State[None], run_id: str | None) -> State[None]:
    return Completed(name=state.name, message=f"{state.message}; {publish_last_run(run_id)}")


def _with_promotion(state: State[None], approval: Approval) -> State[None]:
    from flows.promote import promote_last_run  # late: torch takes two seconds

    return Completed(name=state.name, message=f"{state.message}; {promote_last_run(approval)}")
