"""The commands that answer with a trained model: `coronet predict`, `coronet explain`, `coronet drift`."""

from pathlib import Path
from typing import Annotated

import typer

from tasks.inference.options import Format

RAY_HELP = "Fan out over shards on a Ray cluster: `local` starts one here, `auto` or `ray://host:10001` joins one."

Paths = Annotated[
    list[str], typer.Argument(help="X-rays: files of any readable kind, folders, patterns, or s3://bucket/key URLs.")
]
Model = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="A package's folder or models:/coronet@champion; else the last run here."),
]
LogFolder = Annotated[Path | None, typer.Option(help="Log hashes and scores there, for `coronet drift`.")]


def predict(
    paths: Paths,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="By itself what --out ends in, else a table of few files, Parquet of many."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File (.csv, .jsonl) or folder (.parquet); else standard output.")
    ] = None,
    model: Model = None,
    log: LogFolder = None,
    shard_files: Annotated[int, typer.Option(min=1, max=10_000, help="Files at a time; what a kill may cost.")] = 64,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help=RAY_HELP)] = None,
) -> None:
    """Say what a model sees in X-ray files. One that cannot be read is told, and the others go on.

    Exit code 0: every file has an answer; 3: some have none; 1: none has, or it could not be done.
    """
    from flows.predict import PredictionOrder  # late: `coronet --help` must not wait for pandas
    from flows.predict import predict as predict_paths
    from tasks.edge import exit_code

    order = PredictionOrder(
        paths=paths,
        model=model,
        form=form,
        out=out,
        log=log,
        shard_files=shard_files,
        ray=ray,
    )
    raise typer.Exit(exit_code(lambda: predict_paths(order)))
