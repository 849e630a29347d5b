"""What a run was made from, and what it made: DVC's digests, versions of the libraries, the commit and its date."""

import getpass
import hashlib
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from sqlite3 import Error as SQLiteError
from typing import Any, Final, Literal

from coronet_core.support.credentials import without_credentials

NOT_CODE = ":(exclude)dvc.lock"
"""Files that differ from the commit without the code being another."""
DIGITS: Final = 7
"""Of a commit, for people."""
Kind = Literal["deps", "outs"]
LIBRARIES: Final = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "mlflow", "prefect", "dvc")


def dvc_hashes(stage: str) -> dict[Kind, dict[str, str]]:
    """Return path -> md5 of the deps and outs of `stage` as they are now; empty where DVC knows no such stage.

    They are the digests that DVC writes into `dvc.lock` when the stage has ended.
    """
    return _hashes([stage], "deps", "outs")


def dvc_hashes_of_deps(*stages: str) -> dict[str, str]:
    """Return path -> md5 of all deps of `stages` as they are now: what a stage that still runs can say for sure."""
    return _hashes(stages, "deps")["deps"]


def data_address(path: Path) -> str:
    """Return the address of the file `path` for other machines: where DVC's default remote keeps it once it is pushed.

    Without a remote it is that of the file here. Credentials are left out.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    here = path.absolute().as_uri()
    try:
        with Repo(".") as repo:
            store = repo.cloud.get_remote_odb()
            place = store.oid_to_path(hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
            is_folder = store.fs.protocol == "local"
            return Path(place).as_uri() if is_folder else without_credentials(store.fs.unstrip_protocol(place))
    except (DvcException, OSError, SQLiteError):  # no project, or no default remote
        return here


def library_versions() -> dict[str, str]:
    """Return name -> version of Python and of the libraries that decide what a run computes."""
    return {"Python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def program_version() -> str:
    """Return the version of this program and, where its code is a git clone, the commit; `+`: files differ from it."""
    folder = Path(__file__).parents[3]
    commit = f" (commit {short_commit(folder)})" if (folder / ".git").exists() else ""  # in a worktree it is a file
    return f"{version('coronet')}{commit}"


def code_version(folder: Path = Path()) -> dict[str, str]:
    """Return the git commit of the code in `folder`, and whether files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {
            "git.commit": git("rev-parse", "HEAD"),
            "git.dirty": str(bool(git("status", "--porcelain", "--", ".", NOT_CODE))).lower(),
        }
    except (OSError, subprocess.CalledProcessError):  # an archive without git, or no commit yet
        return {"git.commit": "unknown"}


def short_commit(folder: Path = Path()) -> str:
    """Return the first digits of the commit of the code in `folder`, with a `+` if files differ from it."""
    found = code_version(folder)
    return found["git.commit"][:DIGITS] + ("+" if found.get("git.dirty") == "true" else "")


def source_tags(name: str, commit: str) -> dict[str, str]:
    """Return MLflow's own tags of who ran which program, for the run of the work called `name`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # an id without a name
        user = "unknown"
    return {
        "mlflow.user": user,
        "mlflow.source.name": f"coronet {name}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
    }


def commit_date() -> str | None:
    """Return when the code's commit was made, in ISO 8601; None without git."""
    command = ["git", "show", "--no-patch", "--format=%cI", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # an archive without git, or no commit yet
        return None


def _hashes(stages: Iterable[str], *kinds: Kind) -> dict[Kind, dict[str, str]]:
    """DVC is imported late: it is slow."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            found: list[Any] = [one for name in stages for one in repo.stage.load_all(name=name)]  # a pipeline has none
            return {kind: _md5s(entry for one in found for entry in getattr(one, kind)) for kind in kinds}
    except (DvcException, OSError, SQLiteError):  # lineage is only logged: it must not fail a finished stage
        return {kind: {} for kind in kinds}


def _md5s(entries: Iterable[Any]) -> dict[str, str]:
    return {str(entry): entry.get_hash().value for entry in entries if entry.hash_name == "md5" and entry.exists}
