"""The Optuna study of a hyperparameter search: its storage, what it was begun with, trials of killed processes."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from coronet_core.common.seeds import derive_seed
from coronet_core.support.errors import CoroNetError, ParamsError
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import SPLIT, SPLIT_STAGE, STATE
from tasks.runtime.tracking.provenance import code_version, dvc_hashes
from tasks.runtime.tracking.run_owner import Owner
from tasks.runtime.tracking.stage_run import flattened
from tasks.studies.search_objective import Objective
from tasks.studies.search_space import SEARCHED, SearchSpace

STORAGE_VARIABLE: Final = "CORONET_OPTUNA_STORAGE"
"""Environment variable with the URL of Optuna's storage, which may hold a password."""
DEFAULT_STORAGE: Final = f"sqlite:///{STATE}/optuna.db"
HEARTBEAT_S: Final = 60
"""A trial that is silent for twice as long is taken up again by the next one that begins, on whichever host."""
SEEDS: Final = 2**32
BEGUN_WITH: Final = "coronet.begun_with"
COMMIT: Final = "git.commit"
DIRTY: Final = "git.dirty"
WORKSPACE: Final = "coronet.workspace"
ERROR: Final = "error"
DONE: Final = (TrialState.COMPLETE, TrialState.PRUNED)


def storage_url() -> str:
    """Return the URL of Optuna's storage."""
    return os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE


def open_study(name: str, space: SearchSpace, objective: Objective, params: Params, *, prune: bool) -> optuna.Study:
    """Open the study `name`, or begin it, for a search from `params` over `space`.

    Its first trial has `params` as they are, if the space has them. Raises CoroNetError if its storage cannot be
    opened, ParamsError if the study was begun with another space, objective, split or other params.
    """
    begun_with = _begun_with(space, objective, params)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its trials are logged as flow runs
    try:
        study = optuna.create_study(
            storage=_storage(), study_name=name, direction=objective.direction, load_if_exists=True
        )
        known = len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=derive_seed(params.seed, "tune", known) % SEEDS)
        study.pruner = optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner()
        if BEGUN_WITH not in study.user_attrs:
            with _quiet():
                study.set_metric_names([objective.name])
            study.set_user_attr(BEGUN_WITH, begun_with)
        _require_same(name, study.user_attrs[BEGUN_WITH], begun_with)
        live = space.drawn(asdict(params))
        if live is not None:
            study.enqueue_trial(live, skip_if_exists=True)
        _retry_trials_of_killed_processes(study)
    except (SQLAlchemyError, ImportError, OptunaError) as error:
        reason = str(error).splitlines()[0]
        raise CoroNetError(
            f"Optuna's storage {storage_url()}: {reason}. Correct --storage, or {STORAGE_VARIABLE}."
        ) from error
    return study


def require_unchanged(study: optuna.Study, space: SearchSpace, objective: Objective) -> None:
    """Require the params and the split that `study` was begun with: trials of others could not be compared.

    Raises ParamsError.
    """
    _require_same(study.study_name, study.user_attrs[BEGUN_WITH], _begun_with(space, objective, read_params()))


def load_study(name: str) -> optuna.Study:
    """Open the study `name`, which is there."""
    return optuna.load_study(study_name=name, storage=_storage())


def n_done(study: optuna.Study) -> int:
    """Return how many trials have a figure or were pruned."""
    return len(study.get_trials(deepcopy=False, states=DONE))


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the complete trials, best first: the figure of a pruned one is of the epoch at which it was ended."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: trial.values[0], reverse=study.direction == StudyDirection.MAXIMIZE)


def failures(study: optuna.Study) -> dict[int, str]:
    """Return the errors of the trials in which a stage failed, by number."""
    return {trial.number: trial.user_attrs[ERROR] for trial in study.get_trials() if ERROR in trial.user_attrs}


def begin_trial(trial: optuna.Trial) -> str:
    """Note at `trial` which process runs it, of which commit; returns the name of its workspace.

    Optuna hands on these notes to the trial that takes up one whose process was killed: it has the same workspace.
    """
    workspace: str = trial.user_attrs.get(WORKSPACE, f"trial-{trial.number}")
    for name, value in (Owner.this_process().as_tags() | code_version() | {WORKSPACE: workspace}).items():
        trial.set_user_attr(name, value)
    return workspace


def _storage() -> RDBStorage:
    STATE.mkdir(exist_ok=True)
    with _quiet():
        return RDBStorage(
            storage_url(),
            heartbeat_interval=HEARTBEAT_S,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out warnings that heartbeats and names of metrics may change: the version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _retry_trials_of_killed_processes(study: optuna.Study) -> None:
    """End the trials that processes of this host have left running, and enqueue them again.

    Heartbeats tell the same of any host, but only after minutes, when another trial would have begun.
    """
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        owner = Owner.of_tags(trial.user_attrs)
        if owner is not None and owner.is_gone:
            study.tell(trial.number, state=TrialState.FAIL)
            with _quiet():
                RetryHeartbeatStaleTrialCallback()(study, trial)


def _begun_with(space: SearchSpace, objective: Objective, params: Params) -> dict[str, Any]:
    sections = asdict(params)
    kept = flattened({name: sections[name] for name in ("seed", "data", *SEARCHED)})
    return {
        "objective": objective.name,
        "space": space.as_json(),
        "split": dvc_hashes(SPLIT_STAGE)["outs"].get(str(SPLIT)),
        "params": {key: value for key, value in kept.items() if key not in space.distributions},
    }


def _require_same(name: str, former: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ParamsError unless the trials of the study and those to come can be compared."""
    for what in ("objective", "space", "split", "params"):
        before, after = (flattened({what: one[what]}) for one in (former, now))
        for key in before | after:
            if before.get(key) != after.get(key):
                raise ParamsError(
                    f"the study {name} was begun with {key.removeprefix('params.')} = {before.get(key, 'none')}, now "
                    f"{after.get(key, 'none')}: its trials cannot be compared with new ones. Restore it, or begin "
                    "another study with --name."
                )
