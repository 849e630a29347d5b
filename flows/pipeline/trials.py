"""Trials of a hyperparameter search: Optuna proposes params, a workspace makes their figure.

The search is one MLflow run, and each trial a run nested under it; in Prefect a trial is a flow run below the search's.
A trial that is taken up again after a kill goes on in the workspace of the killed one.
"""

import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import optuna
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.final_states import PRUNED, failed
from flows.pipeline.stage_tasks import wait_for_threads
from flows.pipeline.variants import free_lanes, run_workspace
from flows.project.workspace import WORKSPACES, open_workspace
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.progress import MetricsEvent
from tasks.runtime.tracking.stage_run import StageRun
from tasks.studies.search_objective import EPOCH, Objective
from tasks.studies.search_space import SearchSpace
from tasks.studies.search_study import ERROR, begin_trial, best_trials, require_unchanged


class TrialPrunedError(CoroNetError):
    """Optuna's pruner has ended a trial."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What all trials of a search share."""

    name: str
    """Of its folder of workspaces."""
    space: SearchSpace
    objective: Objective
    record: str
    """Key of the run that the trials' runs are nested under."""


@dataclass
class TrialEpochs:
    """The epochs of a trial, passed on to Optuna as they come."""

    trial: optuna.Trial
    objective: Objective
    params: CinParams
    rows: dict[int, Mapping[str, float]] = field(default_factory=dict)
    """By epoch: a stage that is tried again logs its first epochs again."""
    is_pruned: bool = False

    def on_metrics(self, stage: str, event: MetricsEvent) -> None:
        """Report an epoch of the CIN; raises TrialPrunedError if the pruner ends the trial by it."""
        if not self.objective.is_of_epochs or stage != self.objective.last_stage or event.step in self.rows:
            return
        self.rows[event.step] = {**event.values, EPOCH: event.step}
        self.trial.report(self.objective.kept_value(list(self.rows.values()), self.params), event.step)
        if self.trial.should_prune():
            self.is_pruned = True
            raise TrialPrunedError(f"pruned after epoch {event.step}")

    def report_restored(self, folder: Path) -> None:
        """Report the epochs of a CIN that was not trained now: it was in DVC's cache."""
        if self.objective.is_of_epochs and not self.rows:
            for epoch, value in self.objective.by_epoch(folder, self.params).items():
                self.trial.report(value, epoch)


@dataclass(frozen=True)
class TrialWork:
    """What a trial's flow run works on: no parameters of it, since Prefect's server would be sent them."""

    search: Search
    trial: optuna.Trial
    environment: dict[str, str]


_work: ContextVar[TrialWork] = ContextVar("trial_work")


@flow(name="trial", flow_run_name="{search} {name}", validate_parameters=False)
def run_trial(search: str, name: str, changes: dict[str, Any]) -> State[None]:
    """Bring the workspace of a trial up to date as far as its figure, unless the pruner ends it before."""
    work = _work.get()
    objective, trial = work.search.objective, work.trial
    try:
        folder = open_workspace(f"{search}/{name}", changes, Path())
        params = read_params(folder / PARAMS_FILE)
        epochs = TrialEpochs(trial, objective, params.cin)
        with StageRun(name, params, work.search.record) as run:
            run.tags({"optuna.study": trial.study.study_name, "optuna.trial": str(trial.number)})
            try:
                run_workspace(folder, objective.last_stage, run, work.environment, epochs.on_metrics)
            except CoroNetError as error:
                if not epochs.is_pruned:
                    raise
                run.tags({"optuna.state": PRUNED})
                return Completed(name=PRUNED, message=str(error))
            epochs.report_restored(folder)
            value = objective.value(folder, params.cin)
            run.metrics({objective.name: value})
    except CoroNetError as error:
        return failed(error)
    return Completed(message=f"{objective.name} {value:.5f}")


def run_trials(
    study: optuna.Study, search: Search, n_trials: int, timeout_s: float | None, parallel: int | None
) -> None:
    """Run `n_trials` more trials, `parallel` at once, and begin none after `timeout_s`.

    The first of a study is run alone: the others find in DVC's cache what all have in common. A trial that fails, as by
    training that diverges, is noted in the study, and the search goes on.
    """
    params = read_params()
    free, outer, began_s, ended = free_lanes(params, parallel), copy_context(), time.monotonic(), Event()

    def objective(trial: optuna.Trial) -> float:
        environment = free.get()
        try:
            return outer.copy().run(_value_of, search, trial, environment, ended)
        finally:
            free.put(environment)

    n_alone = 0 if best_trials(study) else min(1, n_trials)
    for n, n_jobs in ((n_alone, 1), (n_trials - n_alone, free.qsize())):
        left_s = None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - began_s))
        if n:
            with ThreadPoolExecutor(1) as pool:
                optimized = pool.submit(
                    study.optimize, objective, n_trials=n, timeout=left_s, n_jobs=n_jobs, catch=CoroNetError
                )
                wait_for_threads([optimized], ended)


def _value_of(search: Search, trial: optuna.Trial, environment: dict[str, str], ended: Event) -> float:
    """Run `trial`; raises TrialPruned, CoroNetError if it has failed, TerminationSignal if `ended` is set."""
    try:
        require_unchanged(trial.study, search.space, search.objective)
    except CoroNetError:
        trial.study.stop()
        raise
    name, changes = begin_trial(trial), search.space.suggest(trial)
    _work.set(TrialWork(search, trial, environment))
    state: State[Any] = run_trial(search.name, name, changes, return_state=True)
    if state.name == PRUNED:
        raise optuna.TrialPruned(state.message)
    if ended.is_set():  # Optuna has the trial for running, and the next search takes it up
        raise TerminationSignal(signal.SIGTERM)
    if not state.is_completed():
        trial.set_user_attr(ERROR, str(state.message))
        raise CoroNetError(f"{name}: {state.message}")
    folder = WORKSPACES / search.name / name
    return search.objective.value(folder, read_params(folder / PARAMS_FILE).cin)
