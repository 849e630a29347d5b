"""Variants of a run: the same DAG with some parameters changed, each in a workspace of its own.

A study (ablation, cross-validation, comparison) is one MLflow run; each variant is a run nested under it, and each
stage that ran for the variant is nested under that. In Prefect a variant is a flow run below the study's.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.common.cpu_count import usable_cores
from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.monitoring.final_states import UP_TO_DATE, failed
from flows.monitoring.stage_progress import OnMetrics, watched_as
from flows.monitoring.stale_runs import alone_as_run
from flows.pipeline.retries import DEFAULT_POLICY
from flows.pipeline.stage_tasks import run_stages, wait_for_threads
from flows.pipeline.study_progress import StudyProgress
from flows.project.graph import leading_to, read_graph, settled, stale_stages
from flows.project.workspace import WORKSPACES, Changes, open_workspace
from tasks.runtime.files import read_json
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import METRICS
from tasks.runtime.tracking.mlflow_delivery import absolute_tracking_uri
from tasks.runtime.tracking.stage_run import StageRun, numbers_of

LOGGED_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1_score",
    "sensitivity",
    "specificity",
    "ppv",
    "roc_auc",
    "pr_auc",
)
"""Figures of a variant that its MLflow run holds."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant of a study."""

    name: str
    """Of its folder and of its MLflow run."""
    changes: Changes
    begins_with: str | None = None
    """Name of the variant of the same study that it is run after and whose results it begins with."""

    trains_autoencoders: bool = True
    """Whether it has autoencoders of its own, which take most of the time; the time left is estimated by it."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What all variants of a study share."""

    name: str
    record: str
    """Key of the run that the variants' runs are nested under."""
    last_stage: str
    """The stage up to which the DAG is run."""
    with_results: bool
    """Whether variants that begin with no other begin with the project's split and what its stages have made."""

    def results_of(self, variant: Variant) -> Path | None:
        """Return the folder whose results `variant` begins with; None if it makes everything itself."""
        if variant.begins_with is not None:
            return self.folder(variant.begins_with)
        return Path() if self.with_results else None

    def folder(self, variant: str) -> Path:
        """Return the workspace of the variant of this name."""
        return WORKSPACES / self.name / variant


@flow(name="variant", flow_run_name="{study.name} {variant.name}", validate_parameters=False)
def run_variant(study: Study, variant: Variant, environment: dict[str, str]) -> State[None]:
    """Bring one variant up to date in its workspace."""
    try:
        folder = open_workspace(f"{study.name}/{variant.name}", variant.changes, study.results_of(variant))
        with StageRun(variant.name, read_params(folder / PARAMS_FILE), study.record) as run:
            n_stale = run_workspace(folder, study.last_stage, run, environment)
            metrics = read_json(folder / METRICS)
            run.metrics(numbers_of({name: metrics[name] for name in LOGGED_METRICS}))
    except CoroNetError as error:
        return failed(error)
    if n_stale:
        return Completed(message=counted(n_stale, "stage"))
    return Completed(name=UP_TO_DATE, message="up to date")


def run_workspace(
    folder: Path,
    last_stage: str,
    run: StageRun,
    environment: dict[str, str],
    on_metrics: OnMetrics | None = None,
) -> int:
    """Bring the workspace `folder` up to date as far as `last_stage`; returns how many of its stages were stale.

    `on_metrics` is as in `run_stages`. Raises StagesFailedError.
    """
    stages = leading_to(last_stage, read_graph())
    stale = stale_stages((stage.name for stage in stages), folder)
    if stale:
        variables = {"MLFLOW_TRACKING_URI": absolute_tracking_uri()} | environment
        with watched_as(folder.name):
            run_stages(settled(stages, stale), folder, run, DEFAULT_POLICY, None, on_metrics, **variables)
    return len(stale)


def run_variants(study: Study, variants: Sequence[Variant], parallel: int | None) -> dict[str, Path]:
    """Run all variants, `parallel` at once; by default as many as the GPUs hold, or one if there is none.

    Returns the folder of each. After a failure no further one is begun: there will be no table without it. Raises
    CoroNetError naming those that failed, when the others that run are done, or if the study runs already.
    """
    free = free_lanes(read_params(), parallel)
    progress = StudyProgress(study.name, [variant.trains_autoencoders for variant in variants], free.qsize())
    failures: dict[str, str | None] = {}
    ended = Event()

    def run_in_a_lane(variant: Variant) -> None:
        environment = free.get()
        try:
            if not failures and not ended.is_set():
                began_s = time.monotonic()
                state: State[Any] = run_variant(study, variant, environment, return_state=True)
                if not state.is_completed():
                    failures[variant.name] = state.message
                    return
                took_s = None if state.name == UP_TO_DATE else time.monotonic() - began_s
                progress.done(took_s, trains_autoencoders=variant.trains_autoencoders)
        finally:
            free.put(environment)

    with alone_as_run(WORKSPACES / f"{study.name}.lock", study.name), ThreadPoolExecutor(free.qsize()) as pool:
        for wave in waves(variants):
            futures = [pool.submit(copy_context().run, run_in_a_lane, variant) for variant in wave]
            wait_for_threads(futures, ended)
    if failures:
        raise CoroNetError("\n".join(f"{name}: {message}" for name, message in failures.items()))
    return {variant.name: study.folder(variant.name) for variant in variants}


def waves(variants: Sequence[Variant]) -> Iterator[list[Variant]]:
    """Yield `variants` in order, in groups that may run at once: each behind the one that it begins with."""
    by_name = {variant.name: variant for variant in variants}
    order = TopologicalSorter({one.name: () if one.begins_with is None else (one.begins_with,) for one in variants})
    order.prepare()
    while order.is_active():
        ready = order.get_ready()
        yield sorted((by_name[name] for name in ready), key=variants.index)
        order.done(*ready)


def free_lanes(params: Params, parallel: int | None) -> SimpleQueue[dict[str, str]]:
    """Return the environments of all lanes, to take one from and to put it back."""
    free: SimpleQueue[dict[str, str]] = SimpleQueue()
    for environment in lanes(params, _n_gpus(params), parallel):
        free.put(environment)
    return free


def lanes(params: Params, n_gpus: int, parallel: int | None) -> list[dict[str, str]]:
    """Return the environment of each lane, in each of which one variant runs at a time.

    On GPUs it is empty: each stage leases the one that is free, or waits. Without one, it is the lane's share of the
    CPU's cores.
    """
    n_lanes = parallel or max(1, n_gpus * params.stages_per_gpu // params.training_processes)
    if n_gpus or n_lanes == 1:
        return [{}] * n_lanes
    return [{"OMP_NUM_THREADS": str(max(1, usable_cores() // n_lanes))}] * n_lanes


def _n_gpus(params: Params) -> int:
    if params.device == "cpu":
        return 0
    import torch  # late: two seconds

    return torch.cuda.device_count()
