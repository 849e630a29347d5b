"""Files and folders that are whole or not there, after a kill and after a power loss; with a checksum or without."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from coronet_core.support.errors import DamagedFileError

FULL_BELOW_BYTES: Final = 1 << 16
"""A disk with less room is full: the library that failed to write may not say why."""
CANNOT_FLUSH: Final = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems that cannot flush files or folders."""


ONLY_MINE: Final = 0o600
"""Mode of files that only their owner may read."""
KIND: Final = b"coronet-sealed-1 "


def write_whole(path: Path, write: Callable[[Path], object], *, durable: bool = True, is_private: bool = False) -> None:
    """Let `write` fill a file beside `path`, then put it in place in one step.

    `durable=False` leaves out the flush, for many small files that are checked before they are used. A file that
    `is_private` is for its owner alone from its first byte on, whoever might read the one that it replaces.

    Raises OSError with ENOSPC when `write` fails and the disk is full, with EFBIG when the file has reached the limit
    of this process, whatever `write` raises: torch and NumPy report positions and counts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        if is_private:
            partial.unlink(missing_ok=True)  # what a killed process has left may be for everybody
            partial.touch(ONLY_MINE)
        write(partial)
        if durable:
            put_in_place(partial, path)
        else:
            partial.replace(path)
    except Exception as error:
        if disk_is_full(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        if _is_at_size_limit(error, partial):
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def put_in_place(finished: Path, target: Path) -> None:
    """Move a finished file or folder to `target`; after a power loss it is there as a whole, or not at all."""
    flush(finished)
    finished.replace(target)
    _flush_one(target.parent)


def flush(path: Path) -> None:
    """Return when the disk holds the file, or the folder with all that is in it."""
    if path.is_symlink():
        return
    if path.is_dir():
        for entry in path.iterdir():
            flush(entry)
    _flush_one(path)


def disk_is_full(folder: Path) -> bool:
    """Whether nothing more can be written into `folder`."""
    return shutil.disk_usage(folder).free < FULL_BELOW_BYTES


def _is_at_size_limit(error: Exception, path: Path) -> bool:
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return True
    if os.name != "posix" or not path.exists():
        return False
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return allowed != resource.RLIM_INFINITY and path.stat().st_size >= allowed


def _flush_one(path: Path) -> None:
    if os.name != "posix":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


def write_sealed(path: Path, content: bytes | memoryview, *, durable: bool = True) -> None:
    """Write `content` to `path` with its checksum, whole or not at all."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            file.write(_seal(content))
            file.write(content)

    write_whole(path, write, durable=durable)


def read_sealed(path: Path) -> bytes:
    """Return the content of a sealed file.

    Raises DamagedFileError if it is not what was written, FileNotFoundError if there is none.
    """
    seal, newline, content = path.read_bytes().partition(b"\n")
    if seal + newline != _seal(content):
        raise DamagedFileError(f"{path}: damaged: its checksum is not that of its content.")
    return content


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, a piece at a time in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(content: bytes | memoryview) -> bytes:
    return KIND + hashlib.sha256(content).hexdigest().encode() + b"\n"
