"""The files that predictions are asked for."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coronet_core.data.record import file_version
from coronet_core.data.sources.image_folder import is_image_file
from coronet_core.errors import DataError

MAX_FILE_BYTES: Final = 512 * 2**20
"""Three times what the largest image that is read takes uncompressed. A larger file is not read at all."""
MAX_SHARD_BYTES: Final = 256 * 2**20
"""A shard is closed before it has more, or has one file: it is held in memory whole."""

CANNOT_BE_OPENED: Final = "cannot be opened"


@dataclass(frozen=True)
class ImageFile:
    """A file as it was when the run began."""

    path: str
    version: str
    """Changes when its bytes may have changed."""
    size_bytes: int


@dataclass(frozen=True)
class FileContent:
    """A file's bytes, or why there are none."""

    path: str
    content: bytes
    error: str | None = None


def find_files(paths: Sequence[str]) -> tuple[list[ImageFile], int]:
    """Return the files that `paths` name, each once, and how many files in folders are passed over as no images.

    A path is a file, whatever it holds; a folder, in which images are looked for at any depth; or a pattern
    (`scans/**/*.dcm`). Raises DataError for a path that names nothing.
    """
    found: dict[str, None] = {}
    passed_over = 0
    for path in paths:
        named = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207  # absolute ones too
        if not named:
            raise DataError(f"{path}: no such file or folder, and no file by this pattern. Correct the path.")
        for name in named:
            inside = _files_in(Path(name))
            images = [file for file in inside if Path(name).is_file() or _looks_like_an_image(file)]
            passed_over += len(inside) - len(images)
            found |= dict.fromkeys(file.as_posix() for file in images)
    if not found:
        raise DataError(
            f"{', '.join(paths)}: no images there ({passed_over} other files). Name files or other folders."
        )
    return [ImageFile(path, file_version(Path(path)), _size(Path(path))) for path in found], passed_over


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


def read(file: ImageFile) -> FileContent:
    """Read a file; one that cannot be read says why."""
    if file.size_bytes > MAX_FILE_BYTES:
        return FileContent(file.path, b"", f"too large ({file.size_bytes / 2**20:.0f} MiB)")
    try:
        return FileContent(file.path, Path(file.path).read_bytes())
    except OSError as error:
        return FileContent(file.path, b"", f"{CANNOT_BE_OPENED} ({error.strerror or type(error).__name__})")


def _files_in(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _looks_like_an_image(path: Path) -> bool:
    try:
        return is_image_file(path)
    except OSError:  # it will say why when it is read
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
