"""The commands that look and change nothing: `coronet status`, `coronet doctor`."""

from typing import Annotated

import typer

from flows.project.preconditions import require_project, run_command


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show outdated stages, the champion, schedules, and which servers run. Starts nothing."""

    def work() -> None:
        from flows.overview.show_state import print_state  # late: `coronet --help` must not wait for DVC

        print_state(as_json=as_json)

    run_command(work, require_project, ends_abandoned_runs=False)


def doctor(
    *,
    remote: Annotated[bool, typer.Option("--remote", help="Try to read DVC's remote, too; may take minutes.")] = False,
) -> None:
    """Check what a run needs (disk, memory, processor, GPU, git, DVC, servers) and say how to mend what is wrong.

    Exit code 0: all that is needed is there; 1: something is missing.
    """

    def work() -> int:
        from flows.overview.doctor import examine  # late: `coronet --help` must not wait for torch

        return examine(tries_remote=remote)

    run_command(work, ends_abandoned_runs=False)
