"""Images in whatever form a program has them: encoded bytes, base64 text, arrays, and paths where they may be read.

A string from a request is never a path: a server that opened the files that requests name would hand out its own. A
`pathlib.Path` is one, because no request can hold it; strings are, where the caller says so. Addresses are refused.
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from coronet_core.data.record import file_version
from coronet_core.errors import DataError
from tasks.inference.arrays import encoded
from tasks.inference.files import MAX_FILE_BYTES, FileContent, ImageFile, read

ADDRESS: Final = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""How URLs begin. Base64 text has no colon."""
BASE64_BYTES: Final = 4 / 3
"""Characters of base64 for each byte."""


def content_of(value: Any, name: str, *, reads_paths: bool) -> FileContent:
    """Return the encoded image that `value` is or names, under `name`; or why there is none.

    Strings are base64 and, with `reads_paths`, names of files that are there.
    """
    try:
        if isinstance(value, Path) or (reads_paths and isinstance(value, str) and _is_file(value)):
            return _file(Path(value), name)
        return FileContent(name, _bytes_of(value, reads_paths=reads_paths))
    except DataError as error:
        return FileContent(name, b"", str(error))


def _bytes_of(value: Any, *, reads_paths: bool) -> bytes:
    match value:
        case bytes() | bytearray() | memoryview():
            content = bytes(value)
        case str():
            content = _decoded(value, reads_paths=reads_paths)
        case np.ndarray():
            return encoded(value)
        case list() | tuple():
            return encoded(_array(value))
        case _:
            raise DataError(f"a {type(value).__name__}. Give encoded bytes, base64 text, an array or a pathlib.Path.")
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"too large ({len(content) / 2**20:.0f} MiB)")
    return content


def _decoded(text: str, *, reads_paths: bool) -> bytes:
    if ADDRESS.match(text):
        raise DataError("an address. Nothing is fetched: send the image itself, as base64 text.")
    if len(text) > MAX_FILE_BYTES * BASE64_BYTES:
        raise DataError(f"too large ({len(text) / BASE64_BYTES / 2**20:.0f} MiB)")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        remedy = "no such file, nor base64 text" if reads_paths else "not base64 text. Paths are not read from strings"
        raise DataError(remedy) from error


def _array(value: list[Any] | tuple[Any, ...]) -> "np.ndarray[Any, Any]":
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError("nested lists of unequal lengths. Give each row as many numbers.") from error


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null byte: base64, perhaps
        return False


def _file(path: Path, name: str) -> FileContent:
    found = read(ImageFile(str(path), file_version(path), path.stat().st_size if path.is_file() else 0))
    return FileContent(name, found.content, found.error)
