"""The command line `coronet`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.data_cli import data_app

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

app = typer.Typer(
    help="COVID-19, other pneumonia and healthy lungs on chest X-rays. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.add_typer(data_app, name="data")


@app.command()
def run(
    params: Annotated[
        Path | None, typer.Option(help="A parameter file that becomes params.yaml first, such as params/paper.yaml.")
    ] = None,
) -> None:
    """Run the stages that are not up to date, side by side where the DAG allows it, and show the figures."""
    from flows.run import main  # late: `coronet --help` must not wait for DVC

    def run_flow() -> "State[Any]":
        from flows.retrain import retrain  # later still: with nothing to do, Prefect is not needed

        return retrain(return_state=True)

    raise typer.Exit(main(run_flow, params))
