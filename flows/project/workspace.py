"""A workspace: the project once more, in a folder of its own, with some parameters changed.

It has a copy of the code and of the parameters, its own outs and its own `dvc.lock`. Raw data, DVC's cache and the
records for MLflow are the project's. What its stages have made stays, so its next run resumes where it stopped.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dvc.config import Config
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from coronet_core.support.whole_files import write_whole
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.weights_files import use_full_paths
from tasks.runtime.paths import DVC_LOCK, SPLIT_STAGE, STATE
from tasks.runtime.resume import set_aside
from tasks.runtime.tracking.temporary_folders import RECORDS

WORKSPACES: Final = STATE / "workspaces"
PACKAGES: Final = ("coronet_core", "tasks", "flows")
DVC_FILES: Final = ("dvc.yaml", ".dvcignore")

Changes = Mapping[str, Any]
"""Parameters to change, by dotted key: {"cin.input": "image"}."""


def open_workspace(name: str, changes: Changes, results_of: Path | None) -> Path:
    """Make or refresh the workspace `name` of the project in the current folder; returns its folder.

    `results_of` is the folder of the project, or of another of its workspaces: the new one has that one's split, and
    begins with all that its stages have made, so that only what differs is left to run. None runs everything itself.

    Raises ParamsError when the changed parameters are not sound.
    """
    folder, data_root = WORKSPACES / name, Path(read_params().data.root)
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        shutil.rmtree(folder / package, ignore_errors=True)
        shutil.copytree(package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in DVC_FILES:
        shutil.copyfile(file, folder / file)
    write_params(folder / PARAMS_FILE, changes)
    read_params(folder / PARAMS_FILE)
    _share_cache(folder)
    for shared in (RECORDS, data_root):
        link_folder(shared, folder / shared)
    kept = entries_kept(folder / DVC_LOCK)
    if results_of is not None:
        _take_results(folder, results_of / DVC_LOCK, kept)
    return folder


def entries_kept(lock: Path) -> dict[str, Any]:
    """Return the entries of the `dvc.lock` that an earlier run has left; none if it is damaged, and set aside.

    DVC rewrites the file in place. It refuses to work with a damaged one; without one its cache tells what was made.
    """
    if not lock.is_file():
        return {}
    try:
        content = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))
        return dict(Lockfile.validate(content, str(lock)).get("stages", {}))
    except (YAMLError, DvcException, ValueError):
        set_aside(lock, lock.parent)
        return {}


def write_params(target: Path, changes: Changes) -> None:
    """Write the live parameters with `changes`; comments and order stay.

    A file of weights in the project's folder is named by its full path: the workspace is another folder.
    """
    yaml = YAML()
    values = yaml.load(PARAMS_FILE.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = values
        for step in sections:
            if not isinstance(section.get(step), dict):  # null, or a section that params.yaml does not have
                section[step] = {}
            section = section[step]
        section[name] = value
    use_full_paths(values)
    write_whole(target, lambda partial: yaml.dump(values, partial))


def _share_cache(folder: Path) -> None:
    """Make `folder` a DVC project without git, on the cache of the one in the current folder."""
    (folder / Repo.DVC_DIR).mkdir(exist_ok=True)
    config = Path(Repo.DVC_DIR, Config.CONFIG)
    shutil.copyfile(config, folder / config)
    with Repo(".") as repo:
        cache = repo.cache.local_cache_dir
    with Config(dvc_dir=str((folder / Repo.DVC_DIR).resolve())).edit("local", validate=False) as local:
        local["core"] = {"no_scm": True}
        local["cache"] = {"dir": cache}


def link_folder(target: Path, link: Path) -> None:
    """Make `link` a link to the folder `target` of the project, unless it is one already."""
    if target.is_absolute() or link.is_symlink():
        return
    target.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)


def _take_results(folder: Path, source: Path, kept: Mapping[str, Any]) -> None:
    """Bring what the `dvc.lock` `source` names: the split always, other outs where `folder` has `kept` no entry."""
    yaml = YAML(typ="safe")
    lock = yaml.load(source.read_text(encoding="utf-8"))
    lock["stages"] |= {stage: entry for stage, entry in kept.items() if stage != SPLIT_STAGE}
    write_whole(folder / DVC_LOCK, lambda partial: yaml.dump(lock, partial))
    with Repo(str(folder)) as repo, contextlib.suppress(DvcException):  # what the cache has lost is made again
        repo.checkout(force=True, allow_missing=True)
