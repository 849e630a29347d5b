"""Git in the current folder: commands, and files as a commit on a new branch that leaves checkout and index alone."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError, TransientError

ORIGIN: Final = "origin"
CODE: Final = ("coronet_core", "tasks", "dvc.yaml", ".dvcignore")
"""What decides what a stage makes, besides params and data."""
COMMITTER: Final = {
    "GIT_AUTHOR_NAME": "CoroNet",
    "GIT_AUTHOR_EMAIL": "coronet@localhost",
    "GIT_COMMITTER_NAME": "CoroNet",
    "GIT_COMMITTER_EMAIL": "coronet@localhost",
}
"""Where git knows nobody, as on a worker."""


def run_git(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run git with `arguments` and further environment `variables`; a failure is left to the caller."""
    return subprocess.run(["git", *arguments], env=os.environ | variables, capture_output=True, text=True, check=False)


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the reason that git gives in its last line, without its full stop and without credentials."""
    lines = without_credentials(done.stderr).strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"


def changed_files(*ignored: Path) -> list[str]:
    """Return the files of git that differ from the current commit, but `ignored`."""
    pathspecs = [".", *(f":(exclude){path}" for path in ignored)]
    return _git("diff", "--name-only", "HEAD", "--", *pathspecs).splitlines()


def new_files(*places: str) -> list[str]:
    """Return the files in `places` that git does not track; those that it ignores do not count."""
    return _git("ls-files", "--others", "--exclude-standard", "--", *places).splitlines()


def commit_on(branch: str, files: Sequence[Path], message: str) -> str:
    """Have `branch` end with the current commit's files, but `files` as they are now. Returns its last commit.

    A new branch begins with the current commit; one that ends so already is left as it is.
    """
    tip = _commit_of(branch)
    identity = {} if run_git("config", "user.email").returncode == 0 else COMMITTER
    with tempfile.TemporaryDirectory() as folder:
        environment = {"GIT_INDEX_FILE": str(Path(folder, "index"))} | identity
        _git("read-tree", "HEAD", **environment)
        _git("add", "--force", "--", *map(str, files), **environment)
        tree = _git("write-tree", **environment).strip()
        if tip is not None and _git("rev-parse", f"{tip}^{{tree}}").strip() == tree:
            return tip
        commit = _git("commit-tree", tree, "-p", tip or "HEAD", "-m", message, **environment).strip()
    _git("update-ref", f"refs/heads/{branch}", commit, tip or "")  # fails if another process has changed it
    return commit


def push_branch(branch: str) -> bool:
    """Push `branch` to origin; False if there is no such remote. Raises TransientError if it cannot be pushed."""
    if run_git("remote", "get-url", ORIGIN).returncode != 0:
        return False
    pushed = run_git("push", "--quiet", ORIGIN, f"refs/heads/{branch}", GIT_TERMINAL_PROMPT="0")
    if pushed.returncode != 0:
        raise TransientError(f"git push {ORIGIN} {branch}: {last_line(pushed)}. Push it when the remote is available.")
    return True


def _commit_of(branch: str) -> str | None:
    found = run_git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
    return found.stdout.strip() if found.returncode == 0 else None


def _git(*arguments: str, **variables: str) -> str:
    done = run_git(*arguments, **variables)
    if done.returncode != 0:
        raise CoroNetError(f"git {arguments[0]}: {last_line(done)}.")
    return done.stdout
