"""The stages of a project as Prefect tasks, side by side where the DAG allows it.

Prefect decides when and where, DVC what is stale: a task runs its stage through `dvc repro --single-item`. Tasks hand
each other nothing; what a stage makes lies where `dvc.yaml` says.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, wait
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TagsContext
from prefect.exceptions import ExternalSignal, ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.final_states import NOT_RUN, UP_TO_DATE, failed
from flows.monitoring.server_wait import retry_until_reachable
from flows.monitoring.stage_progress import OnMetrics, note_end, stage_log
from flows.pipeline.mlflow_sync import records_delivered
from flows.pipeline.retries import DEFAULT_POLICY, StagePolicy, may_pass
from flows.pipeline.stages_not_run import end_those_not_run
from flows.project.graph import Stage
from flows.project.processes import StageProcesses, stage_environment
from flows.ray.dispatch import fan_out_if_due
from flows.remote.remote_run import RemotePlace, end_remote_work, run_remotely
from tasks.runtime.progress import AS_LINES, METRICS_VARIABLE, PROGRESS_VARIABLE
from tasks.runtime.tracking.stage_run import DELIVERED_VARIABLE, PARENT_VARIABLE, StageRun

Futures = dict[str, PrefectFuture[State[None]]]


class StagesFailedError(CoroNetError):
    """Stages of a flow run failed; names each with its reason."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the stages of one flow run share."""

    processes: StageProcesses
    environment: dict[str, str]
    timeout_s: float | None
    places: Mapping[str, RemotePlace]
    """By stage, the hosts that run it in place of this one."""
    on_metrics: OnMetrics | None
    """Receives the metrics of stages that this host runs; a CoroNetError of it ends the stage."""


class ContextHolder:
    """The context of the flow run that this thread works for.

    They are no parameter of its tasks, and a copy has none: Ray is sent a task's parameters and globals with the tasks
    below it, and neither locks nor the secrets of an environment are to go there.
    """

    def __init__(self) -> None:
        self.variable: ContextVar[RunContext] = ContextVar("run_context")

    def __reduce__(self) -> tuple[type["ContextHolder"], tuple[()]]:
        return ContextHolder, ()


_context = ContextHolder()
_at_work: set[StageProcesses] = set()
"""Of each flow run of this process that runs stages now, these."""


@task(task_run_name="{stage.name}", cache_policy=NO_CACHE)
def run_stage(stage: Stage) -> State[None]:
    """Run one stage through DVC, here or on another host; its output becomes the task's log."""
    try:
        run_context = _context.variable.get()
        on_line = stage_log(stage.name, run_context.on_metrics)
        was_run = not stage.is_settled and _was_run(stage.name, run_context, on_line)
    except CoroNetError as error:  # a state, not an exception: the reason is the user's, not a traceback
        return failed(error)
    finally:
        note_end(stage.name)
    return Completed(message="done") if was_run else Completed(name=UP_TO_DATE, message="up to date")


def _was_run(stage: str, run_context: RunContext, on_line: Callable[[str], None]) -> bool:
    """Bring `stage` up to date; returns whether there was anything to run. Raises as StageProcesses.run does."""
    if place := run_context.places.get(stage):
        return run_remotely(stage, place, on_line)
    fan_out_if_due(stage, run_context.environment)
    return run_context.processes.run(stage, run_context.environment, on_line, run_context.timeout_s)


def run_stages(
    stages: list[Stage],
    folder: Path,
    run: StageRun,
    policy: StagePolicy = DEFAULT_POLICY,
    queues: Mapping[str, str] | None = None,
    on_metrics: OnMetrics | None = None,
    /,
    **variables: str,
) -> None:
    """Run `stages` of the project in `folder`, nested under `run`; `variables` are added to their environment.

    `queues` names the work queue of each stage that another host runs; that needs the current folder's project.
    `on_metrics` receives the metrics of the others as they come; a CoroNetError that it raises ends the stage.

    Raises StagesFailedError when any has failed; those that do not wait for it are run all the same.
    """
    run.deliver()  # now, so that the stages find their parent
    if run.resumption is not None:
        get_run_logger().info(run.resumption)
    timeout_s = None if policy.timeout_minutes is None else 60 * policy.timeout_minutes
    asked = {PROGRESS_VARIABLE: AS_LINES} | ({} if on_metrics is None else {METRICS_VARIABLE: AS_LINES})
    run_context = RunContext(
        processes=StageProcesses(folder),
        environment=stage_environment(**{PARENT_VARIABLE: run.key, DELIVERED_VARIABLE: "true"}, **asked, **variables),
        timeout_s=timeout_s,
        on_metrics=on_metrics,
        places={stage: RemotePlace(queue, run.run_id, timeout_s) for stage, queue in (queues or {}).items()},
    )
    token = _context.variable.set(run_context)
    _at_work.add(run_context.processes)
    try:
        with records_delivered():
            futures = _submit(stages, run_context.processes, policy)
    finally:
        _at_work.discard(run_context.processes)
        _context.variable.reset(token)
    runs = retry_until_reachable(lambda: _task_runs(futures))
    run.metrics({_seconds_metric(name): one.total_run_time.total_seconds() for name, one in runs.items()})
    for line in _summary(runs):
        get_run_logger().info(line)
    _raise_failures(futures)


def wait_for_threads(futures: Collection[Future[Any]], ended: Event) -> None:
    """Wait for threads of this process that run flows of stages; raises what the first of them raises.

    On SIGTERM, which Prefect raises in the main thread alone, `ended` is set, and their stages are ended before it is
    raised on. A thread begins no flow when `ended` is set.
    """
    try:
        for future in futures:
            future.result()
    except ExternalSignal:
        ended.set()
        while wait(futures, timeout=1).not_done:
            for processes in list(_at_work):
                processes.end()
        raise


def _submit(stages: list[Stage], processes: StageProcesses, policy: StagePolicy) -> Futures:
    """Run all stages, each behind those it waits for. Ctrl-C and cancellation end those that run."""
    futures: Futures = {}
    tried = run_stage.with_options(
        retries=policy.retries, retry_delay_seconds=policy.delays_s, retry_condition_fn=may_pass
    )
    limited = retry_until_reachable(lambda: limited_tags(tag for stage in stages for tag in stage.tags))
    try:
        with TagsContext(current_tags=set()):  # the flow run's tags are no limits of its tasks
            for stage in stages:
                upstream = [futures[name] for name in stage.upstream]
                # `task_run_name` holds from its start on; until then Prefect shows the name and three characters
                of_stage = tried.with_options(name=stage.name, tags=limited.intersection(stage.tags))
                futures[stage.name] = of_stage.submit(stage, wait_for=upstream)  # type: ignore[call-overload]  # no stub has both
        for future in futures.values():
            future.wait()
    except BaseException:
        end_remote_work(get_run_logger().warning)
        processes.end()
        raise
    finally:
        end_those_not_run(stages, futures)
    return futures


def limited_tags(tags: Iterable[str]) -> set[str]:
    """Return those of `tags` that the server has a limit for.

    A task asks for a slot of each of its tags, limit or not; a server on SQLite is often too busy to answer while a
    stage begins, and Prefect tries again after two seconds.
    """
    with get_client(sync_client=True) as client:
        return {tag for tag in set(tags) if _has_limit(client, tag)}


def _has_limit(client: SyncPrefectClient, tag: str) -> bool:
    try:
        client.read_global_concurrency_limit_by_name(f"tag:{tag}")
    except ObjectNotFound:
        return False
    return True


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
        if run.start_time is None or run.end_time is None or run.state_name == NOT_RUN:
            lines.append(f"{name:28} not run: {run.state.message if run.state else 'how it ended is unknown'}")
        else:
            begin, end = ((moment - first).total_seconds() for moment in (run.start_time, run.end_time))
            lines.append(f"{name:28} {run.state_name:10} from {begin:6.1f} s to {end:6.1f} s")
    return lines


def _raise_failures(futures: Futures) -> None:
    failures = {name: future.state.message for name, future in futures.items() if future.state.is_failed()}
    if failures:
        raise StagesFailedError("\n".join(f"{name}: {message}" for name, message in failures.items()))
