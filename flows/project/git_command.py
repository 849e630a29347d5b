"""Git commands, run in the current folder."""

import os
import subprocess

from coronet_core.support.credentials import without_credentials


def run_git(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run git with `arguments` and further environment `variables`; a failure is left to the caller."""
    return subprocess.run(["git", *arguments], env=os.environ | variables, capture_output=True, text=True, check=False)


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the reason that git gives in its last line, without its full stop and without credentials."""
    lines = without_credentials(done.stderr).strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"
