"""Leases on GPUs, across all stages, flows and projects of a user on one host.

A lease is a lock on a file, so the kernel ends it with the process that holds it, however that dies. A GPU has as many
slots as stages may run on it at once. Nothing here knows torch: GPUs are names.
"""

import os
import stat
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from coronet_core.support.errors import CoroNetError

SECONDS_BETWEEN_TRIES = 0.5
_held: list[FileLock] = []
"""This process's leases. They are not given back: a stage's memory on a GPU is free when its process has ended."""


def lease_folder() -> Path:
    """Return the folder of this user's leases in the host's folder for temporary files; made if it is not there.

    Raises CoroNetError when somebody else has made a folder of that name.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir(), f"coronet-gpus-{user}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise CoroNetError(f"{folder}: not a folder of this user's. Delete it, or set TMPDIR to another folder.")
    return folder


def lease(gpus: Sequence[str], n: int, per_gpu: int, folder: Path, on_wait: Callable[[list[str]], object]) -> list[str]:
    """Lease `n` of `gpus` for the rest of this process's life, waiting as long as needed; returns their names.

    All or none are taken, so two that need several cannot wait for each other. An unused GPU is taken before a shared
    one, and otherwise the first of `gpus`. A GPU is shared by at most `per_gpu` stages, or fewer if one of them came
    with a lower limit. `on_wait` is called once, with the names of the GPUs that were taken, if there is none yet.
    """
    if n > len(gpus):
        raise ValueError(f"{n} GPUs wanted of {len(gpus)}")
    has_waited = False
    while True:
        with FileLock(folder / "guard.lock"):
            found = _try_to_lease(gpus, n, per_gpu, folder)
            holders = _limits_of_holders(folder)
        if found is not None:
            return found
        if not has_waited:
            on_wait([gpu for gpu in gpus if gpu in holders])
            has_waited = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _try_to_lease(gpus: Sequence[str], n: int, per_gpu: int, folder: Path) -> list[str] | None:
    holders = _limits_of_holders(folder)
    free = [gpu for gpu in gpus if len(holders[gpu]) < min([per_gpu, *holders[gpu]])]
    chosen = sorted(free, key=lambda gpu: len(holders[gpu]))[:n]
    if len(chosen) < n:
        return None
    _held.extend([_free_slot(gpu, per_gpu, folder) for gpu in chosen])
    return chosen


def _free_slot(gpu: str, per_gpu: int, folder: Path) -> FileLock:
    for slot in range(per_gpu):
        lock = FileLock(folder / f"{gpu}.{per_gpu}.{slot}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return lock
    raise AssertionError(f"{gpu}: counted a free slot that is not there")


def _limits_of_holders(folder: Path) -> defaultdict[str, list[int]]:
    """Return, for each GPU that is leased, how many stages each of its holders would share it with at most."""
    limits: defaultdict[str, list[int]] = defaultdict(list)
    for path in folder.glob("*.*.*.lock"):
        gpu, limit, _, _ = path.name.rsplit(".", 3)
        try:
            with FileLock(path).acquire(timeout=0):
                pass
        except Timeout:
            limits[gpu].append(int(limit))
    return limits
