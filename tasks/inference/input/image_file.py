"""The files that predictions are asked for, wherever they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_FILE_BYTES: Final = 512 * 2**20
"""Three times what the largest image that is read takes uncompressed. A larger file is not read at all."""
MAX_SHARD_BYTES: Final = 256 * 2**20
"""A shard is closed before it has more, or has one file: it is held in memory whole."""

CANNOT_BE_OPENED: Final = "cannot be opened"
"""How the reasons begin that may have passed by the next run."""


@dataclass(frozen=True)
class ImageFile:
    """A file as it was when the run began."""

    path: str
    """On this machine, or an `s3://` URL."""
    version: str
    """Changes when its bytes may have changed."""
    size_bytes: int


@dataclass(frozen=True)
class FileContent:
    """A file's bytes, or why there are none."""

    path: str
    content: bytes
    error: str | None = None


def within_limit(content: FileContent, size_bytes: int) -> FileContent:
    """Return `content` of a file of this size, or that it is too large for an X-ray."""
    if size_bytes <= MAX_FILE_BYTES:
        return content
    return FileContent(content.path, b"", f"too large ({size_bytes / 2**20:.0f} MiB)")


def shards_of(files: Sequence[ImageFile], max_files: int) -> list[list[ImageFile]]:
    """Cut `files`, in order, into shards of at most `max_files` files that fit into memory several at a time."""
    shards: list[list[ImageFile]] = []
    size_bytes = 0
    for file in files:
        size_bytes += file.size_bytes
        if not shards or len(shards[-1]) == max_files or size_bytes > MAX_SHARD_BYTES:
            shards.append([])
            size_bytes = file.size_bytes
        shards[-1].append(file)
    return shards
