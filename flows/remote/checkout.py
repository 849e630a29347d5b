"""A checkout of the commit that a stage is ordered with, made from the worker's own clone and kept for the next order.

It is a git worktree in `.coronet/remote/<stage>`. Outs and checkpoints stay in it, so a stage that was killed goes on
where it was. DVC's cache and remotes, raw data and the records for MLflow are the clone's.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dvc.config import Config, merge
from dvc.repo import Repo
from filelock import FileLock, Timeout

from coronet_core.errors import CoroNetError, TransientError
from flows.remote.order import StageOrder
from flows.workspace import link_folder
from tasks.files import write_text
from tasks.params.file import PARAMS_FILE, read_params
from tasks.paths import DVC_LOCK, STATE
from tasks.tracking.record import RECORDS

CHECKOUTS: Final = STATE / "remote"


@contextmanager
def open_checkout(order: StageOrder, on_line: Callable[[str], None]) -> Iterator[Path]:
    """Hold the checkout of the ordered stage, at the ordered commit with the ordered `params.yaml` and `dvc.lock`.

    To be called in the folder of the worker's clone. Another order of the same stage waits.

    Raises TransientError when git cannot fetch the commit; CoroNetError when no fetch would bring it; ParamsError
    when the parameters are not sound.
    """
    if not Path("dvc.yaml").is_file():
        raise CoroNetError("no dvc.yaml in the worker's folder. Start the worker in a clone of the project.")
    folder = CHECKOUTS / order.stage
    with _held(CHECKOUTS / f"{order.stage}.lock", on_line):
        with FileLock(CHECKOUTS / "clone.lock"):  # git refuses two fetches at once
            _have_commit(order.commit)
            _check_out(folder, order.commit)
        write_text(folder / PARAMS_FILE, order.params)
        write_text(folder / DVC_LOCK, order.lock)
        params = read_params(folder / PARAMS_FILE)
        _use_clones_dvc(folder)
        link_folder(RECORDS, folder / RECORDS)
        _link_raw_data(Path(params.data.root), folder)
        yield folder


@contextmanager
def _held(path: Path, on_line: Callable[[str], None]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_line("this host runs the stage for another flow run: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _have_commit(commit: str) -> None:
    if _has(commit):
        return
    if _git("remote", "get-url", "origin").returncode != 0:
        raise CoroNetError(f"the worker's clone has neither commit {commit[:12]} nor a git remote `origin` to ask.")
    fetched = _git("fetch", "--quiet", "origin")
    if fetched.returncode != 0:
        raise TransientError(f"git fetch origin, on the worker: {_last_line(fetched.stderr)}")
    if not _has(commit):
        _git("fetch", "--quiet", "origin", commit)  # of no branch, but perhaps still there
    if not _has(commit):
        raise CoroNetError(f"the worker cannot fetch commit {commit[:12]} from origin. Push it: git push.")


def _has(commit: str) -> bool:
    return _git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _check_out(folder: Path, commit: str) -> None:
    """Bring the worktree `folder` to `commit`; what git does not track in it stays."""
    if not (folder / ".git").is_file() or _git("-C", str(folder), "rev-parse", "HEAD").returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        _git("worktree", "prune")
        _must("worktree", "add", "--quiet", "--force", "--detach", "--no-checkout", str(folder), commit)
    own = Path(_must("-C", str(folder), "rev-parse", "--absolute-git-dir").strip())
    (own / "index.lock").unlink(missing_ok=True)  # of a git that was killed: the checkout is held by this process
    _must("-C", str(folder), "checkout", "--quiet", "--force", "--detach", commit)


def _use_clones_dvc(folder: Path) -> None:
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


def _link_raw_data(root: Path, folder: Path) -> None:
    """Let the project in `folder` read the raw data of the clone; git's own files in there are the clone's too."""
    target = folder / root
    if not root.is_absolute() and target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    link_folder(root, target)


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)


def _must(*arguments: str) -> str:
    done = _git(*arguments)
    if done.returncode != 0:
        raise CoroNetError(f"git {' '.join(arguments)}, on the worker: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
