"""Files on this machine."""

import glob
import os
import stat
from pathlib import Path

from coronet_core.data.record import file_version
from coronet_core.data.sources.image_folder import is_image_file
from coronet_core.errors import DataError
from tasks.inference.files import CANNOT_BE_OPENED, MAX_FILE_BYTES, FileContent, ImageFile, within_limit


def find_local(path: str) -> tuple[list[ImageFile], int]:
    """Return the files that `path` names, and how many in folders are passed over as no images.

    It is a file, whatever that holds; a folder, in which images are looked for at any depth; or a pattern
    (`scans/**/*.dcm`). Raises DataError if it names nothing.
    """
    named = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))  # noqa: PTH207  # absolute ones too
    if not named:
        raise DataError(f"{path}: no such file or folder, and no file by this pattern. Correct the path.")
    found: list[ImageFile] = []
    passed_over = 0
    for name in map(Path, named):
        inside = sorted(file for file in name.rglob("*") if file.is_file()) if name.is_dir() else [name]
        images = [file for file in inside if not name.is_dir() or _looks_like_an_image(file)]
        passed_over += len(inside) - len(images)
        found += [ImageFile(file.as_posix(), file_version(file), _size(file)) for file in images]
    return found, passed_over


def read_local(file: ImageFile) -> FileContent:
    """Read a file; one that cannot be read, or is too large for an X-ray, says why."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes to must not hold us
        with open(descriptor, "rb") as opened:  # noqa: PTH123  # by its descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return FileContent(file.path, b"", "not a regular file")
            content = b"" if status.st_size > MAX_FILE_BYTES else opened.read(MAX_FILE_BYTES + 1)  # it may be growing
            return within_limit(FileContent(file.path, content), max(status.st_size, len(content)))
    except OSError as error:
        return FileContent(file.path, b"", f"{CANNOT_BE_OPENED} ({error.strerror or type(error).__name__})")


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
