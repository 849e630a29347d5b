"""The commands `coronet promote` and `coronet rollback`."""

from typing import Annotated, Literal

import typer


def promote(
    version: Annotated[
        str | None, typer.Argument(help="A registered version: 3, challenger. Without one, the last run is registered.")
    ] = None,
    approval: Annotated[
        Literal["auto", "manual"] | None,
        typer.Option(help="Ask a person once the rules are met; by itself promotion.approval."),
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="The answer, before anybody is asked.")] = False,
) -> None:
    """Judge a version against the champion, and make it the champion if it passes. Exit code 1 if it is not."""
    from flows.promotion import promote as promote_version  # late: `coronet --help` must not wait for Prefect
    from tasks.edge import exit_code

    raise typer.Exit(exit_code(lambda: promote_version(version, approval, yes=yes)))


def rollback(
    reason: Annotated[str, typer.Option(help="What is wrong with the champion; written to the promotion log.")],
) -> None:
    """Make the champion before this one champion again."""
    from flows.promotion import rollback as roll_back
    from tasks.edge import exit_code

    raise typer.Exit(exit_code(lambda: roll_back(reason)))
