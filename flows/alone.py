"""One at a time: what two processes may not do at once to one project."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import runtime

from coronet_core.errors import CoroNetError
from flows.abandoned import crash_abandoned
from tasks.files import write_text


@contextmanager
def alone(lock: Path, name: str) -> Iterator[None]:
    """Hold `lock` for as long as this process does what is called `name`; the kernel frees it however that ends.

    A flow run that held it before and was killed is marked as crashed on Prefect's page: a file beside it names it.

    Raises CoroNetError when another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0), _on_record(lock.with_suffix(".run")):
            yield
    except Timeout as error:
        raise CoroNetError(f"{name} runs already in another process. Wait for it, then try again.") from error


@contextmanager
def _on_record(note: Path) -> Iterator[None]:
    """Keep the id of this flow run in `note`; it stays if this fails or is killed, for the next one to look after."""
    if note.is_file():
        crash_abandoned(UUID(note.read_text(encoding="utf-8")))
    if (run_id := runtime.flow_run.get_id()) is not None:
        write_text(note, run_id)
    yield
    note.unlink(missing_ok=True)
