"""The flow `tune`: a hyperparameter search by Optuna, and its winner as a preset."""

from pathlib import Path
from typing import Annotated

import optuna
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.monitoring.final_states import failed
from flows.monitoring.run_names import called
from flows.monitoring.stale_runs import alone_as_run
from flows.monitoring.webhook import AT_ITS_END
from flows.pipeline.trials import Search, run_trials
from flows.project.preconditions import require_search
from flows.project.workspace import WORKSPACES
from tasks.report.search_page import render_search
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import search_page
from tasks.runtime.tracking.stage_run import StageRun
from tasks.studies.search_objective import ObjectiveName, find_objective
from tasks.studies.search_space import EXAMPLE, read_space
from tasks.studies.search_study import best_trials, failures, n_done, open_study, require_unchanged
from tasks.studies.tuned_preset import preset_path, write_winner


@flow(name="tune", flow_run_name=called("search-{name}", name="tuned-{space.stem}"), **AT_ITS_END)
def tune(
    space: Path = EXAMPLE,
    objective: ObjectiveName = "validation_loss",
    trials: Annotated[int, Field(ge=1)] = 20,
    timeout_minutes: float | None = None,
    parallel: Annotated[int, Field(ge=1)] | None = None,
    name: str | None = None,
    *,
    prune: bool = True,
) -> State[None]:
    """Search params for the best validation figure; write the winner as a preset, and a page.

    Args:
        space: The YAML file whose section `space` lists the params to search and their values.
        objective: The validation figure to optimise.
        trials: Total number of trials, including earlier runs of the same study.
        timeout_minutes: Start no further trial after this time.
        parallel: Trials in parallel; by default as many as fit on the GPUs, or one.
        name: Of the study and of its preset; default: `tuned-` and the name of the file `space`.
        prune: Stop trials that do worse than the median trial at the same epoch.
    """
    try:
        study = _search(space, objective, trials, timeout_minutes, parallel, name or f"tuned-{space.stem}", prune=prune)
    except CoroNetError as error:
        return failed(error)
    best = study.best_trial
    return Completed(message=f"{objective} {best.value:.5f} by trial {best.number}; trials done: {n_done(study)}")


def _search(
    space_file: Path,
    objective_name: str,
    n_trials: int,
    timeout_minutes: float | None,
    parallel: int | None,
    name: str,
    *,
    prune: bool,
) -> optuna.Study:
    require_search(space_file, objective_name, name)
    params, objective, target = read_params(), find_objective(objective_name), preset_path(name)
    space = read_space(space_file, objective)
    work = f"search-{name}"
    with alone_as_run(WORKSPACES / f"{work}.lock", work), StageRun(work, params) as run:
        run.deliver()  # now, so that the trials find their parent
        study = open_study(name, space, objective, params, prune=prune)
        left = max(0, n_trials - n_done(study))
        get_run_logger().info(f"{left} of {counted(n_trials, 'trial')} left to run")
        timeout_s = None if timeout_minutes is None else 60 * timeout_minutes
        run_trials(
            study, Search(name=work, space=space, objective=objective, record=run.key), left, timeout_s, parallel
        )
        require_unchanged(study, space, objective)
        _require_figure(study)
        write_winner(target, study, space, space_file)
        render_search(study, objective.name, search_page(name))
        run.metrics({objective.name: study.best_value})
        for path in (target, search_page(name)):
            run.artifact(path)
    return study


def _require_figure(study: optuna.Study) -> None:
    """Raise CoroNetError if no trial has a figure."""
    if not best_trials(study):
        errors = list(failures(study).values()) or ["The time was too short for one."]
        raise CoroNetError(f"no trial has a figure. {errors[-1]}")
