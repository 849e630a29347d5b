"""Image files and their contents, wherever they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_FILE_BYTES: Final = 512 * 2**20
"""Three times the uncompressed size of the largest image allowed. Larger files are not read."""
MAX_SHARD_BYTES: Final = 256 * 2**20
"""Maximum size of a shard with more than one file: a whole shard is held in memory."""

CANNOT_BE_OPENED: Final = "cannot be opened"
"""Beginning of errors that may be gone in the next run."""


@dataclass(frozen=True)
class ImageFile:
    """A file at the start of the run."""

    path: str
    """A local path, or an `s3://` URL."""
    version: str
    """Changes when the content may have changed."""
    size_bytes: int


@dataclass(frozen=True)
class FileContent:
    """A file's bytes, or the reason why they could not be read."""

    path: str
    content: bytes
    error: str | None = None


def within_limit(content: FileContent, size_bytes: int) -> FileContent:
    """Return `content` of a file of this size, or an error if it is too large for an X-ray."""
    if size_bytes <= MAX_FILE_BYTES:
        return content
    return FileContent(content.path, b"", f"too large ({size_bytes / 2**20:.0f} MiB)")


def shards_of(files: Sequence[ImageFile], max_files: int) -> list[list[ImageFile]]:
    """Divide `files`, in order, into shards of at most `max_files` files, several of which fit into memory."""
    shards: list[list[ImageFile]] = []
    size_bytes = 0
    for file in files:
        size_bytes += file.size_bytes
        if not shards or len(shards[-1]) == max_files or size_bytes > MAX_SHARD_BYTES:
            shards.append([])
            size_bytes = file.size_bytes
        shards[-1].append(file)
    return shards
