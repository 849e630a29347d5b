"""The commands `coronet data ...`: fetch what is public, draw phantoms, build the split."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from coronet_core.support.plurals import counted
from flows.project.preconditions import require_params, require_project, run_command
from tasks.runtime.paths import SPLIT_STAGE

LABELS_ONLY = Path("reports/labels_only")


def build_split(params_file: Path | None) -> None:
    """Bring the stage `build_split` up to date through DVC, as `dvc repro` would."""
    from rich.console import Console

    from flows.cli.run_display import stage_display  # late: `coronet --help` must not wait for Prefect
    from flows.project.live_params import prepare
    from flows.project.processes import StageProcesses, stage_environment
    from flows.project.run_lock import RETRAIN_LOCK, alone

    with alone(RETRAIN_LOCK, "retrain"), stage_display(SPLIT_STAGE, Console()) as (variables, on_line):
        prepare(params_file)
        StageProcesses(Path()).run(SPLIT_STAGE, stage_environment(**variables), on_line)


def build_labels_only(params_file: Path | None, out: Path | None) -> None:
    """Preview the split from the label files alone; DVC and the data set stay as they are."""
    from tasks.build_split import labels_only  # late: `coronet --help` must not wait for pandas
    from tasks.runtime.params.checks import PARAMS_FILE, read_params

    folder = out or LABELS_ONLY
    labels_only.build(read_params(params_file or PARAMS_FILE), folder)
    print(f"Written to {folder}: manifest.parquet, split.json")


data_app = typer.Typer(help="Fetch public data sets, draw phantoms, build the split.", no_args_is_help=True)


class PublicDataset(StrEnum):
    """What can be fetched."""

    COVID_CHESTXRAY = "covid-chestxray"
    RSNA = "rsna"
    COVIDX = "covidx"


@data_app.command()
def fetch(
    name: Annotated[
        PublicDataset,
        typer.Argument(
            metavar="NAME",
            help="covid-chestxray (Cohen's collection, by git), rsna (RSNA's pneumonia challenge) or covidx (COVIDx as "
            "its authors publish it), both by Kaggle's client.",
        ),
    ],
    root: Annotated[Path, typer.Option("--to", help="Folder of the raw images, data.root in params.yaml.")] = Path(
        "data/raw"
    ),
    archive: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Zip file that you have downloaded yourself. Default: download it.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Fetch the state of this day, such as 2020-03-29 (covid-chestxray only). Default: the newest."
        ),
    ] = None,
) -> None:
    """Download and verify a data set. An interrupted download resumes. Kaggle needs a token of your own."""

    def work() -> None:
        from tasks.raw_data.fetch import fetch as fetch_dataset  # late: `coronet --help` must not wait for pandas

        fetch_dataset(name.value, root, archive, as_of)

    run_command(work)


@data_app.command()
def phantoms(
    folder: Annotated[Path, typer.Option("--to", help="Folder for the class folders and labels.csv.")] = Path(
        "data/raw/xray"
    ),
    patients: Annotated[
        int, typer.Option(min=1, max=10_000, help="Patients of each class, with 1 or 2 images each.")
    ] = 30,
) -> None:
    """Draw phantoms as PNG files in class folders, to try things without X-rays. Existing ones are kept."""

    def work() -> None:
        from tasks.raw_data.phantom_folder import draw_phantoms  # late: `coronet --help` must not wait for SciPy

        print(f"{folder}: {counted(draw_phantoms(folder, patients), 'image')}")

    run_command(work)


@data_app.command()
def build(
    params: Annotated[
        Path | None,
        typer.Option(
            help="Parameter file; copied to params.yaml first unless --labels-only is given. Default: params.yaml."
        ),
    ] = None,
    *,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Preview counts, leaks and repeated images; no image is read.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder that --labels-only writes to. Default: reports/labels_only.")
    ] = None,
) -> None:
    """Build the split (the stage build_split), or preview it from label files with --labels-only."""
    if out is not None and not labels_only:
        raise typer.BadParameter("--out needs --labels-only; the stage writes to data/split")

    def work() -> None:
        build_labels_only(params, out) if labels_only else build_split(params)

    run_command(work, lambda: require_params(params) if labels_only else require_project(params))
