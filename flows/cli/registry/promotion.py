"""The commands `coronet promote` and `coronet rollback`."""

from typing import Annotated, Literal

import typer

from coronet_core.support.errors import CoroNetError
from flows.monitoring.final_states import PROMOTED, UP_TO_DATE
from flows.project.preconditions import (
    require_package,
    require_project,
    require_registry,
    require_up_to_date,
    run_command,
)
from tasks.runtime.paths import PACKAGE


def promote(
    version: Annotated[
        str | None,
        typer.Argument(
            help="Registered version, such as 3 or challenger. Default: the last run, which is registered first."
        ),
    ] = None,
    approval: Annotated[
        Literal["auto", "manual"] | None,
        typer.Option(help="If the rules are met: auto promotes, manual asks first. Default: as in params.yaml."),
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without prompting.")] = False,
) -> None:
    """Compare a version with the champion and promote it if it passes the gate. Exit code 1 if it does not."""

    def work() -> None:
        if version is not None:
            from tasks.registry.versions import find_version  # late: it imports MLflow

            find_version(version)
        _promote(version, approval, yes=yes)

    of_last_run = (lambda: require_package(PACKAGE), require_up_to_date)
    run_command(work, require_project, *(of_last_run if version is None else (require_registry,)))


def rollback(
    reason: Annotated[str, typer.Option(help="Why the champion is replaced; written to the promotion log.")],
) -> None:
    """Restore the previous champion."""

    def require_reason() -> None:
        if not reason.strip():
            raise CoroNetError("a rollback needs a reason: say what is wrong with the champion.")

    def work() -> None:
        from tasks.promotion.restore_champion import champions  # late: it imports MLflow

        champions()
        _rollback(reason)

    run_command(work, require_reason, require_project, require_registry)


def _promote(version: str | None, approval: Literal["auto", "manual"] | None, *, yes: bool) -> None:
    """Judge a version and promote it. Raises CoroNetError, with every reason, if it does not become the champion."""
    from flows.monitoring.approval import ask_on_terminal, asking, say_yes  # late: Prefect and torch
    from flows.pipeline.run import run_to_end
    from flows.promote import promote as promote_flow

    with asking(say_yes if yes else ask_on_terminal):
        state = run_to_end(lambda: promote_flow(version, approval, return_state=True))
    if state.name not in {PROMOTED, UP_TO_DATE}:
        raise CoroNetError(str(state.message))
    print(state.message)


def _rollback(reason: str) -> None:
    """Go back to the champion before this one. Raises CoroNetError when there is none."""
    from flows.pipeline.run import run_to_end  # late: Prefect
    from flows.rollback import rollback as rollback_flow

    print(run_to_end(lambda: rollback_flow(reason, return_state=True)).message)
