"""Files on this machine."""

import glob
import itertools
import os
import stat
from collections import Counter
from pathlib import Path

from coronet_core.data.file_kinds import beginning_of
from coronet_core.data.image_files import COMPANION, find_images, is_companion
from coronet_core.data.image_record import file_version
from coronet_core.support.errors import DataError
from tasks.inference.input.image_file import CANNOT_BE_OPENED, MAX_FILE_BYTES, FileContent, ImageFile, within_limit


def find_local(path: str) -> tuple[list[ImageFile], Counter[str]]:
    """Return the files at `path`, and the number of skipped files by reason.

    `path` is a file of any content; a folder, which is searched for images at any depth; or a pattern
    (`scans/**/*.dcm`), for which hidden files are skipped. Raises DataError if nothing matches.
    """
    is_pattern = not os.path.lexists(path)
    named = sorted(glob.glob(path, recursive=True)) if is_pattern else [path]  # noqa: PTH207  # absolute ones too
    if not named:
        raise DataError(f"{path}: no such file or folder, and no file by this pattern. Correct the path.")
    found: list[ImageFile] = []
    passed_over: Counter[str] = Counter()
    for name in map(Path, named):
        if is_pattern and is_companion("/".join(name.parts[_fixed_parts(path) :])):
            passed_over[COMPANION] += 1
            continue
        images, others = _in_folder(name) if name.is_dir() else ([name], Counter())
        passed_over += others
        found += [ImageFile(file.as_posix(), file_version(file), _size(file)) for file in images]
    return found, passed_over


def _fixed_parts(pattern: str) -> int:
    """Return how many leading parts of the pattern have no wildcards."""
    return len(list(itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)))


def _in_folder(folder: Path) -> tuple[list[Path], Counter[str]]:
    files = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    found = find_images(files, lambda name: beginning_of(folder / name))
    return [folder / name for name in found.names], found.passed_over


def read_local(file: ImageFile) -> FileContent:
    """Read a file; the result has an error if it is unreadable or too large for an X-ray."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)  # do not block on a pipe without a writer
        with open(descriptor, "rb") as opened:  # noqa: PTH123  # by its descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return FileContent(file.path, b"", "not a regular file")
            content = (
                b"" if status.st_size > MAX_FILE_BYTES else opened.read(MAX_FILE_BYTES + 1)
            )  # the file may be growing
            return within_limit(FileContent(file.path, content), max(status.st_size, len(content)))
    except OSError as error:
        return FileContent(file.path, b"", f"{CANNOT_BE_OPENED} ({error.strerror or type(error).__name__})")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
