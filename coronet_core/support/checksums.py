"""Checksums inside files, so that damage is noticed when a file is opened, with DVC or without.

A file has `coronet-crc32-` and eight hexadecimal digits near its beginning or its end, where its format has room for
text: in the metadata of safetensors, before the footer of Parquet, behind an NPY array. The digits are the CRC-32 of
the file with zeros in their place. Files of older versions have none and are taken as they are.
"""

import io
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
PIECE_BYTES: Final = 1 << 20
File = io.FileIO | io.BytesIO


def write_checksum(path: Path) -> None:
    """Replace the placeholder in a finished file by the file's checksum."""
    with path.open("r+b", buffering=0) as file:
        digits_at = _digits_at(file)
        if digits_at is None:
            raise ValueError(f"{path}: has no placeholder for a checksum")
        checksum = _checksum(file, digits_at)
        file.seek(digits_at)
        file.write(checksum)


def require_intact(path: Path, remedy: str | None = None) -> None:
    """Raise DamagedFileError if the file at `path` is missing, empty, or not what its checksum says."""
    if not path.is_file():
        raise missing_file(path, remedy)
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise damaged_file(path, "it is empty", remedy)
        _require_intact(file, path, remedy)


def has_checksum(path: Path) -> bool:
    """Whether the file at `path` carries a checksum."""
    with path.open("rb", buffering=0) as file:
        return _digits_at(file) is not None


def require_intact_content(content: bytes, name: Path | str, remedy: str | None = None) -> None:
    """Raise DamagedFileError if the content of the file `name` is not what its checksum says."""
    _require_intact(io.BytesIO(content), name, remedy)


def _require_intact(file: File, name: Path | str, remedy: str | None) -> None:
    digits_at = _digits_at(file)
    if digits_at is None:
        return
    file.seek(digits_at)
    if file.read(DIGITS) != _checksum(file, digits_at):
        raise damaged_file(name, "its checksum is not that of its content", remedy)


def damaged_file(name: Path | str, what: str, remedy: str | None = None) -> DamagedFileError:
    """Return the error of a file that is not what was written; by default, of one that DVC keeps."""
    return DamagedFileError(f"{name}: damaged: {what}. {remedy or f'Delete it and run {_by_dvc(name)}'}")


def missing_file(name: Path | str, remedy: str | None = None) -> DamagedFileError:
    """Return the error of a file that is not there; by default, of one that DVC keeps."""
    return DamagedFileError(f"{name}: missing. {remedy or f'Run {_by_dvc(name)}'}")


def _by_dvc(name: Path | str) -> str:
    return f"`dvc checkout {name}`, or `coronet run`, which makes it again."


def _digits_at(file: File) -> int | None:
    """Return the position of the checksum's digits; None if there is no checksum."""
    size = file.seek(0, os.SEEK_END)
    for start in (max(0, size - EDGE_BYTES), 0):
        file.seek(start)
        found = (file.read(EDGE_BYTES) or b"").rfind(MARK)
        if found >= 0:
            return start + found + len(MARK)
    return None


def _checksum(file: File, digits_at: int) -> bytes:
    checksum = position = file.seek(0)
    with memoryview(bytearray(PIECE_BYTES)) as piece:
        while n_read := file.readinto(piece):
            for place in range(max(0, digits_at - position), min(n_read, digits_at + DIGITS - position)):
                piece[place] = ord("0")
            checksum = zlib.crc32(piece[:n_read], checksum)
            position += n_read
    return b"%08x" % checksum
