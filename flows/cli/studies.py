"""What `coronet ablate`, `compare`, `cross-validate` and `tune` do: check, run what is stale, show the figures."""

import os
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from coronet_core.common.classes import FoldUnit
from coronet_core.support.errors import CoroNetError
from coronet_core.support.plurals import counted
from flows.pipeline.run import bring_up_to_date, run_to_end
from flows.project.graph import leading_to, read_graph
from flows.project.summary import figure, interval, is_area, percent
from tasks.runtime.files import read_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import (
    ABLATIONS_PAGE,
    ABLATIONS_TABLE,
    comparison_page,
    comparison_table_file,
    cross_validation_page,
    cross_validation_summary,
    search_page,
)
from tasks.runtime.safe_text.terminal import printable
from tasks.studies.ablation import applicable
from tasks.studies.comparison_file import read_comparison
from tasks.studies.cross_validation import SUMMARISED
from tasks.studies.search_study import STORAGE_VARIABLE, best_trials, failures, load_study
from tasks.studies.tuned_preset import preset_path

SHOWN_TRIALS: Final = 5


def ablate(only: list[str], parallel: int | None) -> None:
    """Bring the run and its ablations up to date and print the table. Raises CoroNetError when a stage fails."""
    applicable(read_params(), only)  # a wrong name must not wait for the run
    from flows.ablate import ablate as flow  # late: Prefect
    from flows.cli.run_display import displayed
    from flows.retrain import retrain

    bring_up_to_date(displayed(lambda: retrain(return_state=True)))
    run_to_end(displayed(lambda: flow(only, parallel, return_state=True)))
    found = read_json(ABLATIONS_TABLE, "Run `coronet ablate` again.")
    table = Table("", "accuracy", "CoroNet minus this", title="Ablations (%), with intervals", title_justify="left")
    for variant in found["variants"].values():
        difference = variant.get("differences", {}).get("accuracy")
        accuracy = f"{percent(variant['accuracy'])} {interval(variant['accuracy_interval'])}"
        table.add_row(variant["title"], accuracy, "" if difference is None else _signed(difference))
    console = Console()
    console.print(table)
    for conclusion in found["conclusions"]:
        console.print(printable(conclusion), markup=False)
    for name, reason in found["skipped"].items():
        console.print(printable(f"left out: {name} ({reason})"), markup=False)
    print(f"Page: {ABLATIONS_PAGE.resolve()}")


def compare(candidates: Path, folds: int, seeds: int, unit: FoldUnit, parallel: int | None) -> None:
    """Bring all trainings up to date and print their table. Raises CoroNetError for faulty candidates, or a failure."""
    read_comparison(candidates)  # faults must not wait for Prefect
    from flows.cli.run_display import displayed
    from flows.compare import compare as flow  # late: Prefect

    run_to_end(displayed(lambda: flow(candidates, folds, seeds, unit, parallel, return_state=True)))
    found = read_json(comparison_table_file(unit), "Run `coronet compare` again.")
    title = f"{folds} folds of {unit}, {counted(seeds, 'seed')}, {counted(found['images'], 'image')}"
    table = Table(
        "", "accuracy (%)", "SD", "minus the reference", "macro ROC-AUC", "chosen by", title=title, title_justify="left"
    )
    for name, candidate in found["candidates"].items():
        mean, difference = candidate["mean"], candidate.get("differences", {}).get("accuracy")
        mark = " *" if name == found["chosen"] else ""
        table.add_row(
            printable(candidate["title"]),
            f"{percent(mean['accuracy'])} {interval(candidate['intervals']['accuracy'])}",
            percent(candidate["sd"]["accuracy"]),
            "" if difference is None else _signed(difference),
            figure("macro_roc_auc", mean["macro_roc_auc"]),
            figure(found["chosen_by"], candidate["validation"]["mean"][found["chosen_by"]]) + mark,
        )
    console = Console()
    console.print(table)
    console.print(f"chosen by: {found['chosen_by']} on the validation folds; * is the best of them", markup=False)
    answers = [f"{one['answer']} {one['details']}" for one in found["residual"]]
    for sentence in (*answers, found["choice"], *found["conclusions"]):
        console.print(printable(sentence), markup=False)
    for warning in found["warnings"]:
        console.print(printable(f"warning: {warning}"), markup=False)
    print(f"Page: {comparison_page(unit).resolve()}")


def cross_validate(folds: int, unit: FoldUnit, last_stage: str, parallel: int | None) -> None:
    """Bring all folds up to date and print their summary. Raises CoroNetError when a stage fails."""
    if "evaluate" not in {stage.name for stage in leading_to(last_stage, read_graph())}:
        raise CoroNetError(f"--until {last_stage}: the folds must be evaluated. Give evaluate or a later stage.")
    from flows.cli.run_display import displayed
    from flows.cross_validate import cross_validate as flow  # late: Prefect

    run_to_end(displayed(lambda: flow(folds, unit, last_stage, parallel, return_state=True)))
    found = read_json(cross_validation_summary(unit), "Run `coronet cross-validate` again.")
    title = f"{folds}-fold cross-validation by {unit}, {counted(found['images'], 'image')}"
    table = Table("", "mean", "SD", "lowest", "highest", title=title, title_justify="left")
    for name in SUMMARISED:
        values = [fold[name] for fold in found["by_fold"] if fold[name] is not None]
        if values:
            cells = (found["mean"][name], found["sd"][name], min(values), max(values))
            table.add_row(_title(name), *(figure(name, cell) for cell in cells))
    Console().print(table)
    pooled = found["pooled"]
    print(f"pooled accuracy {percent(pooled['accuracy'])}% {interval(pooled['accuracy_interval'])}")
    for warning in found["warnings"]:
        print(printable(f"warning: {warning}"))
    print(f"Page: {cross_validation_page(unit).resolve()}")


def tune(
    space: Path,
    objective: str,
    trials: int,
    timeout_minutes: float | None,
    parallel: int | None,
    name: str,
    storage: str | None,
    *,
    prune: bool,
) -> None:
    """Run the trials that are left and print the best. Raises CoroNetError if no trial has a figure."""
    if storage is not None:
        os.environ[STORAGE_VARIABLE] = storage  # no parameter of the flow: Prefect's server would be sent its password
    from flows.cli.run_display import displayed
    from flows.tune import tune as flow  # late: Prefect

    run_to_end(
        displayed(
            lambda: flow(space, objective, trials, timeout_minutes, parallel, name, prune=prune, return_state=True)
        )
    )
    study = load_study(name)
    table = Table("trial", objective, "params", title=f"Best trials of {name}", title_justify="left")
    for trial in best_trials(study)[:SHOWN_TRIALS]:
        chosen = ", ".join(f"{key} = {value}" for key, value in trial.params.items())
        table.add_row(str(trial.number), f"{trial.value:.5f}", printable(chosen))
    Console().print(table)
    for number, error in failures(study).items():
        print(printable(f"trial {number} failed: {error}"))
    print(f"Preset: {preset_path(name)}   (coronet run --params {preset_path(name)})")
    print(f"Page: {search_page(name).resolve()}")


def _title(name: str) -> str:
    return name.replace("_", " ").replace("roc auc", "ROC-AUC") + ("" if is_area(name) else " (%)")


def _signed(difference: dict[str, Any]) -> str:
    if difference["interval"] is None:
        return f"{100 * difference['difference']:+.2f}"
    low, high = (100 * bound for bound in difference["interval"])
    return f"{100 * difference['difference']:+.2f} ({low:+.1f} to {high:+.1f})"
