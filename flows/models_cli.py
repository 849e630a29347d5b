"""The commands `coronet models ...`: which versions the registry has, where they come from, and their packages."""

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(help="Versions of the model in the registry.", no_args_is_help=True)

VERSION_HELP = "3, champion, models:/coronet/3 or models:/coronet@champion."
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help=VERSION_HELP)]


@models_app.command("list")
def list_versions() -> None:
    """List all versions with their aliases, figures and origin, newest first."""
    from flows.models import print_versions
    from tasks.edge import exit_code

    raise typer.Exit(exit_code(print_versions))


@models_app.command()
def show(version: VersionName) -> None:
    """Show where a version comes from: split, params, commit, runs, figures, report."""
    from flows.models import print_version
    from tasks.edge import exit_code

    raise typer.Exit(exit_code(lambda: print_version(version)))


@models_app.command()
def fetch(
    version: VersionName,
    out: Annotated[Path, typer.Option(help="Folder for the package; a package that is there is replaced.")],
) -> None:
    """Bring the package of a version, checked byte by byte."""
    from flows.models import fetch_to
    from tasks.edge import exit_code

    raise typer.Exit(exit_code(lambda: fetch_to(version, out)))


@models_app.command()
def register(
    package: Annotated[Path | None, typer.Argument(help="Folder of a package; by itself the last run's.")] = None,
) -> None:
    """Register a package as the challenger. One that is registered already keeps its version."""
    from flows.models import register_package
    from tasks.edge import exit_code

    raise typer.Exit(exit_code(lambda: register_package(package)))
