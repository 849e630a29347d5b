"""Checksums inside files, so that damage is noticed when a file is opened, with DVC or without.

A file has `coronet-crc32-` and eight hexadecimal digits near its beginning or its end, where its format has room for
text: in the metadata of safetensors, before the footer of Parquet, behind an NPY array. The digits are the CRC-32 of
all its other bytes. Files of older versions have none and are taken as they are.
"""

import mmap
import os
import zlib
from pathlib import Path
from typing import Final

from coronet_core.support.errors import DamagedFileError

MARK: Final = b"coronet-crc32-"
DIGITS: Final = 8
PLACEHOLDER: Final = MARK + b"0" * DIGITS
"""What a file has in place of its checksum until it is complete."""
EDGE_BYTES: Final = 1 << 20
"""The mark is within so many bytes of the beginning or the end."""


def write_checksum(path: Path) -> None:
    """Replace the placeholder in a finished file by the file's checksum."""
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            digits_at = _digits_at(content)
            if digits_at is None:
                raise ValueError(f"{path}: has no placeholder for a checksum")
            checksum = _checksum(content, digits_at)
        file.seek(digits_at)
        file.write(checksum)


def require_intact(path: Path, remedy: str | None = None) -> None:
    """Raise DamagedFileError if the file at `path` is missing, empty, or not what its checksum says."""
    if not path.is_file():
        raise missing_file(path, remedy)
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise damaged_file(path, "it is empty", remedy)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            require_intact_content(content, path, remedy)


def require_intact_content(content: bytes | mmap.mmap, name: Path | str, remedy: str | None = None) -> None:
    """Raise DamagedFileError if the content of the file `name` is not what its checksum says."""
    digits_at = _digits_at(content)
    if digits_at is not None and content[digits_at : digits_at + DIGITS] != _checksum(content, digits_at):
        raise damaged_file(name, "its checksum is not that of its content", remedy)


def damaged_file(name: Path | str, what: str, remedy: str | None = None) -> DamagedFileError:
    """Return the error of a file that is not what was written; by default, of one that DVC keeps."""
    return DamagedFileError(f"{name}: damaged: {what}. {remedy or f'Delete it and run {_by_dvc(name)}'}")


def missing_file(name: Path | str, remedy: str | None = None) -> DamagedFileError:
    """Return the error of a file that is not there; by default, of one that DVC keeps."""
    return DamagedFileError(f"{name}: missing. {remedy or f'Run {_by_dvc(name)}'}")


def _by_dvc(name: Path | str) -> str:
    return f"`dvc checkout {name}`, or `coronet run`, which makes it again."


def _digits_at(content: bytes | mmap.mmap) -> int | None:
    """Return the position of the checksum's digits; None if there is no checksum."""
    found = content.rfind(MARK, max(0, len(content) - EDGE_BYTES))
    if found < 0:
        found = content.find(MARK, 0, EDGE_BYTES)
    return None if found < 0 else found + len(MARK)


def _checksum(content: bytes | mmap.mmap, digits_at: int) -> bytes:
    with memoryview(content) as view, view[:digits_at] as before, view[digits_at + DIGITS :] as behind:
        return b"%08x" % zlib.crc32(behind, zlib.crc32(before))
