"""Files of any storage: what paths name, and their bytes."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from coronet_core.support.errors import DataError
from tasks.inference.input.image_file import FileContent, ImageFile
from tasks.inference.input.local import find_local, read_local

S3: Final = "s3://"
URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
READERS: Final = 8
"""Files that are read at once: storage in a network answers each after a while."""


def find_files(paths: Sequence[str]) -> tuple[list[ImageFile], Counter[str]]:
    """Return the files that `paths` name, each once, and how many others are passed over, by reason.

    A path is a file, a folder or a pattern on this machine (`tasks.inference.input.local`), or an `s3://` URL
    (`tasks.inference.input.s3`). Raises DataError for one that names nothing, and for any other URL.
    """
    found: dict[str, ImageFile] = {}
    passed_over: Counter[str] = Counter()
    for path in paths:
        files, others = _find(path)
        found |= {file.path: file for file in files}
        passed_over += others
    if not found:
        seen = counts_in_words(passed_over) or "nothing"
        raise DataError(f"{', '.join(paths)}: no images there ({seen}). Name files or other folders.")
    return list(found.values()), passed_over


def counts_in_words(passed_over: Mapping[str, int]) -> str:
    """Return what is passed over, as words for a sentence; nothing for nothing."""
    return ", ".join(f"{n} {reason}" for reason, n in passed_over.items())


def read_files(files: Sequence[ImageFile]) -> list[FileContent]:
    """Read `files`, in order; one that cannot be read says why."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, files))


def read(file: ImageFile) -> FileContent:
    """Read a file; one that cannot be read, or is too large for an X-ray, says why."""
    if file.path.startswith(S3):
        from tasks.inference.input.s3 import read_object

        return read_object(file)
    return read_local(file)


def _find(path: str) -> tuple[list[ImageFile], Counter[str]]:
    if path.startswith(S3):
        from tasks.inference.input.s3 import find_objects  # late: boto3 takes a while

        return find_objects(path)
    if URL.match(path):
        raise DataError(f"{path}: refused. Images are read from this machine and from {S3}bucket/key, nothing else.")
    return find_local(path)
