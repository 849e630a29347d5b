"""The commands that look and change nothing: `coronet status`."""

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
