"""A commit of the project in a folder of its own: a git worktree of the clone in the current folder.

DVC's cache and remotes and raw data are the clone's.
"""

import shutil
from pathlib import Path
from typing import Any, Final

from dvc.config import Config, merge
from dvc.repo import Repo
from filelock import FileLock

from coronet_core.data.file_names import relative_path
from coronet_core.support.errors import CoroNetError, DataError, TransientError
from flows.project.git import last_line, run_git
from flows.project.workspace import link_folder
from tasks.runtime.paths import STATE
from tasks.runtime.safe_text.identifiers import GIT_COMMIT, matching

CLONE_LOCK: Final = STATE / "clone.lock"
"""Held while git is at work: it refuses two fetches at once."""


def check_out(commit: str, folder: Path, place: str) -> None:
    """Bring `commit` to the worktree `folder`, by a fetch from origin if need be. What git does not track there stays.

    `place` is what errors call this clone. Raises TransientError when git cannot fetch the commit, CoroNetError when no
    fetch would bring it; DataError for what is no commit: git would take it for an option or for a branch.
    """
    matching(GIT_COMMIT, commit, "commit")
    CLONE_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(CLONE_LOCK):
        _have_commit(commit, place)
        _bring(folder, commit, place)


def _have_commit(commit: str, place: str) -> None:
    if _has(commit):
        return
    if run_git("remote", "get-url", "origin").returncode != 0:
        raise CoroNetError(f"{place} has neither commit {commit[:12]} nor a git remote `origin` to fetch it from.")
    fetched = run_git("fetch", "--quiet", "origin")
    if fetched.returncode != 0:
        raise TransientError(f"git fetch origin, on {place}: {last_line(fetched)}")
    if not _has(commit):
        run_git("fetch", "--quiet", "origin", commit)  # of no branch, but perhaps still there
    if not _has(commit):
        raise CoroNetError(f"{place} cannot fetch commit {commit[:12]} from origin. Push it: git push.")


def _has(commit: str) -> bool:
    return run_git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _bring(folder: Path, commit: str, place: str) -> None:
    """Bring the worktree `folder` to `commit`; what git does not track in it stays."""
    if not (folder / ".git").is_file() or run_git("-C", str(folder), "rev-parse", "HEAD").returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        run_git("worktree", "prune")
        _must(place, "worktree", "add", "--quiet", "--force", "--detach", "--no-checkout", str(folder), commit)
    own = Path(_must(place, "-C", str(folder), "rev-parse", "--absolute-git-dir").strip())
    (own / "index.lock").unlink(missing_ok=True)  # of a git that was killed: the checkout is held by this process
    _must(place, "-C", str(folder), "checkout", "--quiet", "--force", "--detach", commit)


def use_clones_dvc(folder: Path) -> None:
    """Give the project in `folder` the cache and the remotes of the clone, wherever its configuration has them from."""
    clone, merged = Config(dvc_dir=Repo.DVC_DIR), dict[str, Any]()
    for level in Config.REPO_LEVELS:
        merge(merged, clone.load_one(level))
    with Repo(".") as repo:
        merged["cache"]["dir"] = repo.cache.local_cache_dir
    merged["core"]["no_scm"] = True  # outs are ignored by git already; DVC need not see to it
    with Config(dvc_dir=str(folder / Repo.DVC_DIR)).edit("local", validate=False) as local:
        local.clear()
        local.update(merged)


def link_raw_data(root: Path, folder: Path) -> None:
    """Let the project in `folder` read the raw data of the clone; git's own files in there are the clone's too.

    An absolute `root` is the same for both. Raises DataError for one that leads out of the project, by itself or by a
    link: what is in its place is deleted.
    """
    if root.is_absolute():
        return
    target = folder / relative_path(str(root), "data.root")
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"data.root = {root}: leads out of {folder} by a link. Name the folder by its full path.")
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    link_folder(root, target)


def _must(place: str, *arguments: str) -> str:
    done = run_git(*arguments)
    if done.returncode != 0:
        raise CoroNetError(f"git {' '.join(arguments)}, on {place}: {last_line(done)}")
    return done.stdout
