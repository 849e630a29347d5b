"""Finding and reading files, local or on S3."""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from coronet_core.support.errors import DataError
from coronet_core.support.plurals import by_reason
from tasks.inference.input.image_file import FileContent, ImageFile
from tasks.inference.input.local import find_local, read_local

S3: Final = "s3://"
URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
READERS: Final = 8
"""Files read in parallel, as network storage is slow to respond."""


def find_files(paths: Sequence[str]) -> tuple[list[ImageFile], Counter[str]]:
    """Return the files at `paths`, each once, and the number of skipped files by reason.

    A path is a file, a folder or a pattern on this machine (`tasks.inference.input.local`), or an `s3://` URL
    (`tasks.inference.input.s3`). Raises DataError if nothing is found, and for any other URL.
    """
    found: dict[str, ImageFile] = {}
    passed_over: Counter[str] = Counter()
    for path in paths:
        files, others = _find(path)
        found |= {file.path: file for file in files}
        passed_over += others
    if not found:
        seen = by_reason(passed_over) or "nothing"
        raise DataError(f"{', '.join(paths)}: no images found ({seen}). Give files or other folders.")
    return list(found.values()), passed_over


def read_files(files: Sequence[ImageFile]) -> list[FileContent]:
    """Read `files`, in order; unreadable ones have an error."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, files))


def read(file: ImageFile) -> FileContent:
    """Read a file; the result has an error if it is unreadable or too large for an X-ray."""
    if file.path.startswith(S3):
        from tasks.inference.input.s3 import read_object

        return read_object(file)
    return read_local(file)


def _find(path: str) -> tuple[list[ImageFile], Counter[str]]:
    if path.startswith(S3):
        from tasks.inference.input.s3 import find_objects  # late: boto3 takes a while

        return find_objects(path)
    if URL.match(path):
        raise DataError(f"{path}: refused. Images are read from local files and from {S3}bucket/key only.")
    return find_local(path)
