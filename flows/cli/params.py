"""The commands `coronet params ...`: what a parameter file comes to, and where two of them differ."""

from typing import Annotated

import typer

from flows.project.preconditions import run_command

params_app = typer.Typer(help="Show and compare parameter files.", no_args_is_help=True)

LIVE = "params.yaml"
MAX_WIDTH = 50
FILE_HELP = "Preset in params/, or path of a file."


@params_app.command()
def show(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help=FILE_HELP)] = LIVE,
) -> None:
    """Print a preset with everything that it extends."""

    def work() -> None:
        from tasks.runtime.params.presets import find_file, whole_file  # late: `coronet --help` must not wait for YAML

        typer.echo(whole_file(find_file(preset)), nl=False)

    run_command(work)


@params_app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help=FILE_HELP)],
    other: Annotated[str, typer.Argument(metavar="B", help=FILE_HELP)] = LIVE,
) -> None:
    """Print the parameters that differ between two files."""

    def work() -> None:
        from tasks.runtime.params.presets import differences, find_file

        rows = differences(find_file(one), find_file(other))
        _print_rows([("key", one, other), *rows] if rows else [(f"{one} and {other} have the same values.",)])

    run_command(work)


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    """Print columns, aligned as far as their cells are not too long."""
    from tasks.runtime.safe_text.terminal import printable

    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [min(MAX_WIDTH, max(map(len, column))) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
