"""The commands `coronet models ...`: which versions the registry has, where they come from, and their packages."""

from pathlib import Path
from typing import Annotated

import typer

from flows.project.preconditions import require_package, require_registry, run_command
from tasks.runtime.paths import PACKAGE

models_app = typer.Typer(help="List, show, fetch, register and sign model versions.", no_args_is_help=True)

VERSION_HELP = "Version: 3, champion, models:/coronet/3 or models:/coronet@champion."
VersionName = Annotated[str, typer.Argument(metavar="VERSION", help=VERSION_HELP)]


@models_app.command("list")
def list_versions() -> None:
    """List all versions with aliases, metrics and origin, newest first."""

    def work() -> None:
        from flows.cli.registry.show_models import print_versions

        print_versions()

    run_command(work, require_registry)


@models_app.command()
def show(version: VersionName) -> None:
    """Show the lineage of a version: split, params, commit, runs, metrics, report."""

    def work() -> None:
        from flows.cli.registry.show_models import print_version

        print_version(version)

    run_command(work, require_registry)


@models_app.command()
def fetch(
    version: VersionName,
    out: Annotated[Path, typer.Option(help="Folder for the package. An existing package there is replaced.")],
) -> None:
    """Download the package of a version and verify its checksums."""

    def work() -> None:
        from flows.cli.registry.show_models import fetch_to

        fetch_to(version, out)

    run_command(work, require_registry)


@models_app.command()
def register(
    package: Annotated[
        Path | None, typer.Argument(help="Package folder. Default: models/coronet, the last run's.")
    ] = None,
) -> None:
    """Register a package as the challenger. A package that is already registered keeps its version."""

    def work() -> None:
        from flows.cli.registry.show_models import register_package

        register_package(package)

    run_command(work, lambda: require_package(package or PACKAGE))


@models_app.command()
def sign(
    key: Annotated[Path, typer.Option(help="PEM file of an Ed25519 private key.")],
    package: Annotated[
        Path | None, typer.Argument(help="Package folder. Default: models/coronet, the last run's.")
    ] = None,
) -> None:
    """Sign a registered package with your private key, on the machine that made the package."""

    def work() -> None:
        from flows.cli.registry.show_models import sign_package

        sign_package(package, key)

    run_command(work, require_registry, lambda: require_package(package or PACKAGE))
