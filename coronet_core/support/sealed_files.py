"""Files with a checksum in front, for work in progress: whoever reads one learns whether it is damaged.

A sealed file is one line, `coronet-sealed-1 <SHA-256 of the content>`, and the content.
"""

import hashlib
from pathlib import Path
from typing import Final

from coronet_core.support.errors import DamagedFileError
from coronet_core.support.whole_files import write_whole

KIND: Final = b"coronet-sealed-1 "


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
    line, _, content = path.read_bytes().partition(b"\n")
    if line + b"\n" != _seal(content):
        raise DamagedFileError(f"{path}: damaged: its checksum is not that of its content.")
    return content


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, a piece at a time in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(content: bytes | memoryview) -> bytes:
    return KIND + hashlib.sha256(content).hexdigest().encode() + b"\n"
