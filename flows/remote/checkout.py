"""A checkout of the commit that a stage is ordered with, made from the worker's own clone and kept for the next order.

It is a git worktree in `.coronet/remote/<stage>`. Outs and checkpoints stay in it, so a stage that was killed goes on
where it was. DVC's cache and remotes, raw data and the records for MLflow are the clone's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from coronet_core.support.errors import CoroNetError
from flows.project.workspace import link_folder
from flows.project.worktree import check_out, link_raw_data, use_clones_dvc
from flows.remote.request import StageOrder
from tasks.runtime.files import write_text
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.paths import DVC_LOCK, STATE
from tasks.runtime.tracking.temporary_folders import RECORDS

CHECKOUTS: Final = STATE / "remote"


@contextmanager
def open_checkout(order: StageOrder, on_line: Callable[[str], None]) -> Iterator[Path]:
    """Hold the checkout of the ordered stage, at the ordered commit with the ordered `params.yaml` and `dvc.lock`.

    To be called in the folder of the worker's clone. Another order of the same stage waits.

    Raises TransientError when git cannot fetch the commit; CoroNetError when no fetch would bring it; ParamsError
    when the parameters are not sound; DataError when the order is not.
    """
    if not Path("dvc.yaml").is_file():
        raise CoroNetError("no dvc.yaml in the worker's folder. Start the worker in a clone of the project.")
    order.check()
    folder = CHECKOUTS / order.stage
    with _held(CHECKOUTS / f"{order.stage}.lock", on_line):
        check_out(order.commit, folder, "the worker")
        write_text(folder / PARAMS_FILE, order.params)
        write_text(folder / DVC_LOCK, order.lock)
        params = read_params(folder / PARAMS_FILE)
        use_clones_dvc(folder)
        link_folder(RECORDS, folder / RECORDS)
        link_raw_data(Path(params.data.root), folder)
        yield folder


@contextmanager
def _held(path: Path, on_line: Callable[[str], None]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_line("this host is running the stage for another flow run: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
