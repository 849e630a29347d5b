"""The command line `coronet`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from coronet_core.common.classes import FoldUnit
from flows.cli.datasets import data_app
from flows.cli.export import export
from flows.cli.images.predict import RAY_CLUSTER, drift, explain, predict
from flows.cli.images.validation import validate
from flows.cli.overview import doctor, report, status
from flows.cli.params import params_app
from flows.cli.registry.models import VersionName, models_app
from flows.cli.registry.promotion import promote, rollback
from flows.cli.serve import serve
from flows.cli.version import options_of_all
from flows.project.preconditions import (
    require_git,
    require_own_code,
    require_package,
    require_prefect_server,
    require_project,
    require_ray,
    require_registry,
    require_search,
    require_up_to_date,
    run_command,
)
from tasks.runtime.paths import PACKAGE

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

app = typer.Typer(
    help="Classify chest X-rays as COVID-19, other pneumonia or healthy. Research software, not a medical device.",
    no_args_is_help=True,
    callback=options_of_all,
    pretty_exceptions_enable=False,
)


def run(
    params: Annotated[
        Path | None,
        typer.Option(help="Parameter file to write to params.yaml first, such as params/paper.yaml. Default: none."),
    ] = None,
    remote: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE=QUEUE", help="Run this stage on another host's worker; repeatable. Default: none."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help=f"Compute residual tensors on a Ray cluster: {RAY_CLUSTER} Default: on this machine.",
        ),
    ] = None,
    slurm: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with the stages to run as SLURM jobs, and the resources of each job. Default: none."
        ),
    ] = None,
) -> None:
    """Run all outdated stages, in parallel where the DAG allows it, and print the metrics."""
    queues = dict(_stage_and_queue(one) for one in remote or [])

    def run_flow() -> "State[Any]":
        from flows.cli.run_display import run_display  # later still: with nothing to do, Prefect is not needed
        from flows.retrain import retrain

        with run_display():
            return retrain(remote_stages=queues, ray=ray, slurm=slurm, return_state=True)

    def work() -> int:
        from flows.pipeline.run import main  # late: `coronet --help` must not wait for DVC

        return main(run_flow, params)

    of_remote = (require_git, require_prefect_server) if queues else ()
    of_ray = () if ray is None else (require_ray,)
    run_command(work, lambda: require_project(params), *of_remote, *of_ray)


def up(
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Prefect's page.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of MLflow's page.")] = 5000,
    worker_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the worker's health check.")] = 8080,
) -> None:
    """Start Prefect, MLflow and a worker on this machine, deploy the flows, and run until Ctrl-C."""

    def work() -> None:
        from flows.servers.up import up as start

        start(prefect_port, mlflow_port, worker_port)

    run_command(work, require_project, require_own_code)


def deploy() -> None:
    """Create or update the deployments, work pool and automations on the server that PREFECT_API_URL names."""

    def work() -> None:
        from flows.servers.up import deploy as deploy_all

        deploy_all()

    run_command(work, require_project, require_prefect_server)


def ablate(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Ablation to run, such as raw_image; repeatable. Default: all."),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Ablations in parallel. Default: as many as fit on the GPUs, or one.")
    ] = None,
) -> None:
    """Retrain without each part of the method, and a ResNet-18 on raw images; compare on the same split."""

    def work() -> None:
        from flows.cli.studies import ablate as run_ablations

        run_ablations(only or [], parallel)

    run_command(work, require_project)


def compare(
    candidates: Annotated[
        Path, typer.Option(help="YAML file that names the candidates and what each changes in params.yaml.")
    ] = Path("params/comparison/residual.yaml"),
    folds: Annotated[int, typer.Option(min=2, max=100, help="Number of folds.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Training seeds per classifier and fold.")] = 3,
    unit: Annotated[
        FoldUnit,
        typer.Option(
            help="What each fold keeps together. images: only to compare with published results that split by image."
        ),
    ] = "patients",
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Trainings in parallel. Default: as many as fit on the GPUs, or one.")
    ] = None,
) -> None:
    """Compare recipes on the same folds with the same seeds: CoroNet, raw images, other networks."""

    def work() -> None:
        from flows.cli.studies import compare as run_candidates

        run_candidates(candidates, folds, seeds, unit, parallel)

    run_command(work, require_project)


def cross_validate(
    folds: Annotated[int, typer.Option(min=2, max=100, help="Number of folds.")] = 5,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Folds in parallel. Default: as many as fit on the GPUs, or one.")
    ] = None,
    until: Annotated[
        str,
        typer.Option(help="Last stage of each fold: evaluate for the figures only, report for a report of each fold."),
    ] = "report",
    *,
    by_image: Annotated[
        bool,
        typer.Option(
            "--by-image", help="Split by image instead of patient: only to compare with published results that do."
        ),
    ] = False,
) -> None:
    """Run the DAG for each fold of patients; report mean, standard deviation and the pooled confusion matrix."""
    unit: FoldUnit = "images" if by_image else "patients"

    def work() -> None:
        from flows.cli.studies import cross_validate as run_folds

        run_folds(folds, unit, until, parallel)

    run_command(work, require_project)


def tune(
    space: Annotated[
        Path, typer.Option(help="YAML file whose section `space` lists the params to search and their values.")
    ] = Path("params/search/cin.yaml"),
    objective: Annotated[
        str,
        typer.Option(
            help="Validation figure to optimise: validation_loss, validation_accuracy, validation_nll or "
            "validation_brier."
        ),
    ] = "validation_loss",
    trials: Annotated[
        int, typer.Option(min=1, help="Total number of trials, including earlier runs of the study.")
    ] = 20,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Minutes after which no further trial starts. Default: no limit.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Trials in parallel. Default: as many as fit on the GPUs, or one.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the study and of its preset, params/NAME.yaml. Default: tuned-SPACE.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Optuna's database. Default: the variable CORONET_OPTUNA_STORAGE, or an SQLite file."
        ),
    ] = None,
    *,
    prune: Annotated[
        bool, typer.Option(help="Stop trials that do worse than the median trial at the same epoch.")
    ] = True,
) -> None:
    """Search params with Optuna for the best validation figure; write the best as a preset."""

    def work() -> None:
        from flows.cli.studies import tune as search

        search(space, objective, trials, timeout, parallel, study, storage, prune=prune)

    study = name or f"tuned-{space.stem}"
    run_command(work, require_project, lambda: require_search(space, objective, study))


def reproduce(
    version: VersionName,
    tolerance: Annotated[float, typer.Option(min=0, help="Largest accepted difference of a metric.")] = 0.0,
) -> None:
    """Rerun a registered version from its commit, params and data, and check that its metrics match."""

    def work() -> None:
        from flows.pipeline.reproduce_version import print_reproduction

        print_reproduction(version, tolerance)

    run_command(work, require_project, require_git, require_registry)


def publish() -> None:
    """Push the last run to DVC's remote, and commit it on a new branch, retrain/<date>-<run>."""

    def work() -> None:
        from flows.pipeline.publication import publish as publish_last_run

        print(publish_last_run())

    run_command(work, require_project, require_git, lambda: require_package(PACKAGE), require_up_to_date)


def _stage_and_queue(text: str) -> tuple[str, str]:
    stage, _, queue = text.partition("=")
    if not stage or not queue:
        raise typer.BadParameter(f"{text}: give STAGE=QUEUE, such as train_autoencoder@pneumonia=gpu")
    return stage, queue


DATA: Final = "Data and training"
VERSIONS: Final = "Versions"
COMMANDS: Final[dict[str, tuple[Callable[..., None], ...]]] = {
    DATA: (run, status, report, doctor),
    "A trained model": (predict, explain, validate, serve, export, drift),
    VERSIONS: (promote, rollback, reproduce, publish),
    "Studies": (cross_validate, ablate, compare, tune),
    "Servers and schedules": (up, deploy),
}
"""The commands by the panel of the help that lists them."""

for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(data_app, name="data", rich_help_panel=DATA)
app.add_typer(params_app, name="params", rich_help_panel=DATA)
app.add_typer(models_app, name="models", rich_help_panel=VERSIONS)
