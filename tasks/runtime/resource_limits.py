"""Out of memory, or at a limit of the process: which errors mean that, and what to lower."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from coronet_core.support.errors import CoroNetError

PROC: Final = Path("/proc")
CGROUPS: Final = Path("/sys/fs/cgroup")
MEMORY_PARAMS: Final = {
    "train_autoencoder": "autoencoder.batch_size",
    "materialize_residuals": "residuals.batch_size or residuals.shard_images",
    "train_cin": "cin.batch_size",
    "calibrate": "evaluate.batch_size",
    "evaluate": "evaluate.batch_size",
    "audit": "audit.batch_size",
    "explain": "explain.batch_size",
    "build_split": "data.shard_images",
}
"""The params that decide how much memory a stage takes."""
FILE_SIZE_PARAMS: Final = {
    "build_split": "data.shard_images",
    "materialize_residuals": "residuals.shard_images",
}
"""The params that decide how large a stage's largest files are."""
REFUSED_MEMORY: Final = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|bad_alloc"  # torch, C libraries, C++
    r"|can't start new thread|failed to map segment from shared object(?!: Operation not permitted)",
    re.IGNORECASE,
)
LEAST_ADDRESS_SPACE: Final = 1 << 30
UNLIMITED: Final = 1 << 60
"""What version 1 of control groups has for no limit is near 2**63."""


def out_of_memory(error: Exception, stage: str | None) -> CoroNetError | None:
    """Return `error` of `stage` as shown to users if memory was refused, be it by a limit; None for any other error."""
    is_limited = limit("RLIMIT_AS") is not None
    match error:
        case MemoryError():
            pass
        case OSError() if error.errno == errno.ENOMEM:
            pass
        case SystemError() if is_limited:  # a C function that forgot to say that it got no memory
            pass
        case RuntimeError() if is_limited and "could not create a primitive" in str(error):  # oneDNN's
            pass
        case RuntimeError() | OSError() | ImportError() if is_refusal_of_memory(str(error)):
            pass
        case _:
            return None
    return CoroNetError(f"out of memory ({first_line(error)}). {memory_remedy(stage)}")


def is_refusal_of_memory(text: str) -> bool:
    """Whether `text` is what libraries say when the kernel refuses them memory."""
    return REFUSED_MEMORY.search(text) is not None


def memory_remedy(stage: str | None) -> str:
    """Return what to do when `stage` has run out of memory; None is any other work."""
    if (allowed := limit("RLIMIT_AS")) is not None:
        return f"{what_to_lower(stage)}, or raise the limit of {allowed / 2**20:.0f} MiB (`ulimit -v`)."
    return f"{what_to_lower(stage)}, or use a machine with more memory."


def what_to_lower(stage: str | None) -> str:
    """Return which param makes `stage` take less memory, as the beginning of a sentence."""
    return f"Lower {MEMORY_PARAMS.get(_kind(stage), 'the batch size')}"


def require_address_space() -> None:
    """Raise CoroNetError under a limit of memory in which libraries hang or crash while they are loaded."""
    allowed = limit("RLIMIT_AS")
    if allowed is not None and allowed < LEAST_ADDRESS_SPACE:
        raise CoroNetError(
            f"the limit of memory is {allowed / 2**20:.0f} MiB (`ulimit -v`), too low for the libraries. Raise it: "
            "torch takes 4096 MiB, a stage about 2000 more."
        )


def file_too_large(error: Exception, stage: str | None) -> CoroNetError | None:
    """Return `error` of `stage` as shown to users if a file reached the limit of size; None for any other error."""
    if not (isinstance(error, OSError) and error.errno == errno.EFBIG):
        return None
    place = f"{error.filename}: " if error.filename else ""
    allowed = limit("RLIMIT_FSIZE")
    size = "" if allowed is None else f" of {allowed / 2**10:.0f} KiB"
    lower = f", or lower {name}" if (name := FILE_SIZE_PARAMS.get(_kind(stage))) else ""
    return CoroNetError(f"{place}larger than the limit{size} for files. Raise it (`ulimit -f`){lower}.")


def limit(name: str) -> int | None:
    """Return a limit of this process, `RLIMIT_AS` or `RLIMIT_FSIZE`, in bytes; None if there is none."""
    if os.name != "posix":
        return None
    import resource

    allowed = resource.getrlimit(getattr(resource, name))[0]
    return None if allowed == resource.RLIM_INFINITY else allowed


def oom_kills() -> int | None:
    """Return how many processes of this control group the kernel has killed for want of memory; None: not known.

    Without a control group of its own, it is the number of the whole machine.
    """
    for counter in _counters():
        with suppress(OSError):
            for line in counter.read_text(encoding="utf-8").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return None


def group_limit() -> int | None:
    """Return the memory in bytes that this control group, such as a container, may use; None: no limit is known."""
    for file in _group_files("memory.limit_in_bytes", "memory.max"):
        with suppress(OSError, ValueError):  # `max` is no number
            if (allowed := int(file.read_text(encoding="utf-8"))) < UNLIMITED:
                return allowed
    return None


def _counters() -> Iterator[Path]:
    """Yield the files that may have the counter."""
    yield from _group_files("memory.oom_control", "memory.events")
    yield PROC / "vmstat"


def _group_files(name_in_version_1: str, name_in_version_2: str) -> Iterator[Path]:
    """Yield files of this control group's memory; a container sees its own group as the root."""
    with suppress(OSError):
        for line in (PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", maxsplit=2)
            if "memory" in controllers.split(","):
                yield CGROUPS / "memory" / path.lstrip("/") / name_in_version_1
                yield CGROUPS / "memory" / name_in_version_1
            elif not controllers:
                yield CGROUPS / path.lstrip("/") / name_in_version_2
                yield CGROUPS / name_in_version_2


def _kind(stage: str | None) -> str:
    """Return the name of a stage without its item."""
    return (stage or "").partition("@")[0]


def first_line(error: Exception) -> str:
    """Return the first line of an error's text or, without one, its kind."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
