"""Files of the run that made a package, by the DVC digests of its lineage: in place, in the cache or in the remote."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tasks.runtime.progress import log
from tasks.runtime.safe_text.identifiers import DVC_MD5, matching

OF_A_FOLDER: Final = ".dir"
"""Suffix of a folder's digest, under which the cache has the list of the folder's files."""


def content_of(path: Path, md5: str) -> bytes | None:
    """Return the content of the file at `path` with DVC's digest `md5`; None if it cannot be found."""
    if path.is_file() and _has(md5, content := path.read_bytes()):
        return content
    return next((content for content in _copies(md5) if _has(md5, content)), None)


def files_of_folder(md5: str) -> dict[str, str]:
    """Return the digests of a folder's files by relative path; empty if the folder cannot be found."""
    listed = next((content for content in _copies(md5) if _has(md5, content)), b"[]")
    return {entry["relpath"]: entry["md5"] for entry in json.loads(listed)}


def _has(md5: str, content: bytes) -> bool:
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == md5.removesuffix(OF_A_FOLDER)


def _copies(md5: str) -> Iterator[bytes]:
    """Yield the content under a digest from the cache and the default remote. DVC is imported late, as it is slow.

    Raises DataError for an invalid digest, which could name another file.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    matching(DVC_MD5, md5, "digest")
    try:
        opened = Repo(".")
    except NotDvcRepoError:  # a package is used outside a project, too
        return
    with opened as repo:
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
        log(f"DVC's remote cannot be read ({type(error).__name__}: {error}); {md5} counts as missing")
        return []
