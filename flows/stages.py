"""The stages of a project as Prefect tasks, side by side where the DAG allows it.

Prefect decides when and where, DVC what is stale: a task runs its stage through `dvc repro --single-item`. Tasks hand
each other nothing; what a stage makes lies where `dvc.yaml` says.
"""

from pathlib import Path

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed

from coronet_core.errors import CoroNetError
from flows.graph import Stage
from flows.process import end_stages, run_stage_process, stage_environment
from flows.residual_fan_out import fan_out_if_due
from tasks.tracking.run import PARENT_VARIABLE, StageRun

UP_TO_DATE = "UpToDate"

Futures = dict[str, PrefectFuture[State[None]]]


class StagesFailedError(CoroNetError):
    """Stages of a flow run failed; names each with its reason."""


@task(task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(stage: Stage, folder: Path, environment: dict[str, str]) -> State[None]:
    """Run one stage of the project in `folder` through DVC; its output becomes the task's log."""
    try:
        fan_out_if_due(stage.name, environment)
    except CoroNetError as error:
        return Failed(message=str(error))
    result = run_stage_process(stage.name, folder, environment, get_run_logger().info)
    if not result.succeeded:
        return Failed(message=result.reason)  # a state, not an exception: the reason is the user's, not a traceback
    if result.is_up_to_date:
        return Completed(name=UP_TO_DATE, message="up to date")
    return Completed(message="done")


def run_stages(stages: list[Stage], folder: Path, run: StageRun, **variables: str) -> None:
    """Run `stages` of the project in `folder`, nested under `run`; `variables` are added to their environment.

    Raises StagesFailedError when any has failed; those that do not wait for it are run all the same.
    """
    run.deliver()  # now, so that the stages find their parent
    futures = _submit(stages, folder, stage_environment(**{PARENT_VARIABLE: run.key}, **variables))
    runs = _task_runs(futures)
    run.metrics({_seconds_metric(name): one.total_run_time.total_seconds() for name, one in runs.items()})
    for line in _summary(runs):
        get_run_logger().info(line)
    _raise_failures(futures)


def _submit(stages: list[Stage], folder: Path, environment: dict[str, str]) -> Futures:
    """Run all stages, each behind those it waits for. Ctrl-C and cancellation end those that run."""
    futures: Futures = {}
    try:
        for stage in stages:
            upstream = [futures[name] for name in stage.upstream]
            futures[stage.name] = run_stage.submit(stage, folder, environment, wait_for=upstream)  # type: ignore[call-overload]  # no stub has both
        for future in futures.values():
            future.wait()
    except BaseException:
        end_stages(folder)
        raise
    return futures


def _task_runs(futures: Futures) -> dict[str, TaskRun]:
    with get_client(sync_client=True) as client:
        return {name: client.read_task_run(future.task_run_id) for name, future in futures.items()}


def _seconds_metric(stage: str) -> str:
    return "seconds." + stage.replace("@", ".")  # MLflow takes no @ in names


def _summary(runs: dict[str, TaskRun]) -> list[str]:
    """Return a line a stage: its state, and when it began and ended, in seconds after the first one."""
    first = min(run.start_time for run in runs.values() if run.start_time is not None)
    lines = []
    for name, run in runs.items():
        if run.start_time is None or run.end_time is None:
            lines.append(f"{name:28} not run")
        else:
            begin, end = ((moment - first).total_seconds() for moment in (run.start_time, run.end_time))
            lines.append(f"{name:28} {run.state_name:10} from {begin:6.1f} s to {end:6.1f} s")
    return lines


def _raise_failures(futures: Futures) -> None:
    failures = {name: future.state.message for name, future in futures.items() if future.state.is_failed()}
    if failures:
        raise StagesFailedError("\n".join(f"{name}: {message}" for name, message in failures.items()))
