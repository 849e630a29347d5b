"""Raw images that DVC could bring: at the source of a `dvc import-url` or `dvc import`, or of a newer `.dvc` file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from coronet_core.data.file_kinds import BEGINNING_BYTES, beginning_of
from coronet_core.data.image_files import find_images, is_companion
from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError, DataError, TransientError
from flows.remote.dvc_transfer import pull, update
from tasks.runtime.params.data import DataParams


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What a `.dvc` file of raw data could bring."""

    dvc_file: str
    is_import: bool
    """Whether `dvc update` brings it, from another place; else `dvc pull`, from the DVC remote."""
    n_images: int
    """Images there that are not here, by their names."""
    own_files: tuple[str, ...] = ()
    """Files here that neither the place nor the `.dvc` file has: an update would delete them."""


def waiting_images(data: DataParams) -> list[Waiting]:
    """List the `.dvc` files of the project in the current folder that could bring images to the sources of `data`.

    The places are listed; nothing is downloaded but the beginnings of files whose names do not tell what they are.
    Raises TransientError if a place cannot be listed, CoroNetError for a `.dvc` file that cannot be read.
    """
    return [found for found in _listed(data) if found.n_images]


def bring_raw_data(data: DataParams, on_line: Callable[[str], None]) -> None:
    """Bring what is waiting, as `dvc update` and `dvc pull` do: with new images, imported tables of labels, too.

    Raises DataError rather than delete files of one's own, TransientError when a place does not answer.
    """
    listed = _listed(data)
    if not any(one.n_images for one in listed):
        return
    waiting = [one for one in listed if one.n_images or (one.is_import and not one.own_files)]
    for one in waiting:
        if one.own_files:
            raise DataError(
                f"{one.dvc_file}: {one.own_files[0]} is not from DVC, and fetching new images would delete it. Move "
                "your own files to another folder, or `dvc add` them where DVC tracks them."
            )
    update([one.dvc_file for one in waiting if one.is_import], Path(), on_line)
    pull([one.dvc_file for one in waiting if not one.is_import], Path(), on_line, is_forced=False)


def _listed(data: DataParams) -> list[Waiting]:
    """Return what each `.dvc` file of the sources could bring, be it nothing."""
    root = Path(data.root).resolve()
    folders = [root / source.folder for source in data.sources if hasattr(source, "folder")]
    try:
        with Repo(".") as repo:
            stages = [stage for stage in repo.index.stages if not stage.cmd and _is_of(stage, folders)]
            return [_waiting(repo, stage, folders) for stage in stages]
    except DvcException as error:
        raise CoroNetError(f"DVC cannot tell where raw data come from: {error}.") from error


def _is_of(stage: Any, folders: Sequence[Path]) -> bool:
    """Whether what a `.dvc` file brings is part of one of `folders`, or holds one."""
    here = Path(stage.outs[0].fs_path)
    return any(here.is_relative_to(folder) or folder.is_relative_to(here) for folder in folders)


def _waiting(repo: Repo, stage: Any, folders: Sequence[Path]) -> Waiting:
    (out,) = stage.outs
    here = Path(out.fs_path)
    try:
        tracked = _tracked(repo.dvcfs, repo.dvcfs.from_os_path(str(here.relative_to(repo.root_dir))))
        fs, there = repo.dvcfs, tracked
        if stage.is_import:
            stage.deps[0].update()  # in memory alone: to the newest version, where there are several
            fs, there = stage.deps[0].fs, _files(stage.deps[0].fs, stage.deps[0].fs_path)

        def beginning(name: str) -> bytes:
            if (here / name).is_file():
                return beginning_of(here / name)
            with fs.open(there[name], "rb") as file:
                return bytes(file.read(BEGINNING_BYTES))

        images = find_images(there, beginning).names
    except Exception as error:  # whatever the client library of a store raises
        reason = without_credentials(" ".join(str(error).split()) or type(error).__name__)
        raise TransientError(f"{stage.relpath}: new files cannot be listed: {reason}") from error
    missing = [name for name in images if not (here / name).exists()]
    own = [path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()] if here.is_dir() else []
    return Waiting(
        dvc_file=stage.relpath,
        is_import=stage.is_import,
        n_images=sum(any((here / name).is_relative_to(folder) for folder in folders) for name in missing),
        own_files=tuple(name for name in own if name not in there and name not in tracked and not is_companion(name)),
    )


def _files(fs: Any, path: str) -> dict[str, str]:
    """Return the path of each file of `path`, a file or a folder, by its name below it."""
    if not fs.exists(path):
        raise FileNotFoundError(f"{path}: nothing there")
    return {_below(path, found, fs): found for found in fs.find(path)}


def _tracked(fs: Any, path: str) -> dict[str, str]:
    """Return the same of what DVC tracks at `path`, whether it is here, in its cache or in the remote alone."""
    if not fs.isdir(path):
        return {"": path}
    found = (fs.join(folder, name) for folder, _, names in fs.walk(path, dvc_only=True) for name in names)
    return {_below(path, one, fs): one for one in found}


def _below(path: str, found: str, fs: Any) -> str:
    name: str = fs.relpath(found, path)
    return "" if name == "." else name
