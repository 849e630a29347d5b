"""The option `coronet --version`."""

from typing import Annotated

import typer


def _print_version(is_asked: bool) -> None:  # noqa: FBT001  # as Typer calls it
    if is_asked:
        from tasks.runtime.tracking.provenance import program_version  # late: `coronet --help` needs no git

        print(f"coronet {program_version()}")
        raise typer.Exit


def options_of_all(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options of `coronet` itself."""
