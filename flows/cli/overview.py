"""The commands that look and change nothing that a run makes: `coronet status`, `report`, `doctor`."""

from typing import Annotated

import typer

from flows.project.preconditions import require_package, require_project, run_command
from tasks.runtime.paths import PACKAGE


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show outdated stages, the champion, schedules, workers, and which servers run. Starts nothing."""

    def work() -> None:
        from flows.overview.show_state import print_state  # late: `coronet --help` must not wait for DVC

        print_state(as_json=as_json)

    run_command(work, require_project, ends_abandoned_runs=False)


def report(
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="champion, previous or a registered version; repeatable. Default: champion and previous.",
        ),
    ] = None,
) -> None:
    """Show the last run's metrics and paired differences from the champion and the previous run.

    Exit code 1: a run that --against names cannot be compared.
    """

    def work() -> int:
        from flows.overview.show_report import print_report  # late: `coronet --help` must not wait for pandas

        return print_report(against)

    run_command(work, require_project, lambda: require_package(PACKAGE), ends_abandoned_runs=False)


def doctor(
    *,
    remote: Annotated[bool, typer.Option("--remote", help="Also try to read DVC's remote; may take minutes.")] = False,
) -> None:
    """Check what a run needs (disk, memory, processor, GPU, git, DVC, servers) and say how to fix what is wrong.

    Exit code 0: nothing is missing; 1: something is.
    """

    def work() -> int:
        from flows.overview.doctor import examine  # late: `coronet --help` must not wait for torch

        return examine(tries_remote=remote)

    run_command(work, ends_abandoned_runs=False)
