"""Files that a run of some time has made, by their digest: from the project's folder, DVC's cache or its remote."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tasks.runtime.external_text import DVC_MD5, matching
from tasks.runtime.progress import say

OF_A_FOLDER: Final = ".dir"
"""End of the digest of a folder; what it names in the cache is a list of the folder's files."""


def content_of(path: Path, md5: str) -> bytes | None:
    """Return the file that was at `path` when it had DVC's digest `md5`; None if it is nowhere to be found."""
    if path.is_file() and _has(md5, content := path.read_bytes()):
        return content
    return next((content for content in _copies(md5) if _has(md5, content)), None)


def files_of_folder(md5: str) -> dict[str, str]:
    """Return the digests of the files of a folder, by their path in it; empty if it is nowhere to be found."""
    listed = next((content for content in _copies(md5) if _has(md5, content)), b"[]")
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listed)}


def _has(md5: str, content: bytes) -> bool:
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == md5.removesuffix(OF_A_FOLDER)


def _copies(md5: str) -> Iterator[bytes]:
    """Yield what the cache and the default remote have under a digest. DVC is imported late: it is slow.

    Raises DataError for what is no digest: it would name another file.
    """
    from dvc.repo import Repo

    matching(DVC_MD5, md5, "digest")
    with Repo(".") as repo:
        for store in (lambda: repo.cache.local, lambda: repo.cloud.get_remote_odb(command="promote")):
            yield from _copy(store, md5)


def _copy(store: Callable[[], Any], md5: str) -> list[bytes]:
    from dvc.config import NoRemoteError

    try:
        opened = store()
        return [opened.fs.cat_file(opened.oid_to_path(md5))]
    except (FileNotFoundError, NoRemoteError):
        return []
    except Exception as error:  # noqa: BLE001  # whatever the client library of a remote raises
        say(f"DVC's remote cannot be read ({type(error).__name__}: {error}); {md5} counts as not there")
        return []
