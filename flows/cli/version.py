"""The option `coronet --version`."""

from pathlib import Path
from typing import Annotated

import typer

import flows


def coronet_version() -> str:
    """Return the version of this program and, where its code is a git clone, the commit; `+`: files differ from it."""
    from importlib.metadata import version  # late: `coronet --help` needs none of it

    from tasks.runtime.tracking.provenance import short_commit

    folder = Path(flows.__file__).parent.parent
    commit = f" (commit {short_commit(folder)})" if (folder / ".git").exists() else ""  # in a worktree it is a file
    return f"{version('coronet')}{commit}"


def _print_version(is_asked: bool) -> None:  # noqa: FBT001  # as Typer calls it
    if is_asked:
        print(f"coronet {coronet_version()}")
        raise typer.Exit


def options_of_all(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options of `coronet` itself."""
