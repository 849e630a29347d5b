"""Raw data that are not here, as in a clone that has pulled what was made of them: later stages run without.

DVC itself knows this as `--allow-missing`, but not where a part of a folder that a stage reads is missing.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from coronet_core.support.errors import DataError
from tasks.runtime.code_digest import PACKAGES
from tasks.runtime.params.checks import read_params


def absent_raw_data() -> list[Path]:
    """Return the data of the project in the current folder that a stage reads, no stage makes, and are not here."""
    with Repo(".") as repo:
        return _absent(repo)


def require_raw_data() -> None:
    """Raise DataError if there is no folder of raw images to build the split from."""
    if not (root := Path(read_params().data.root)).is_dir():
        raise DataError(
            f"{root}: no such folder (data.root). Put the X-rays there as docs/data.md says, or `dvc pull` them if DVC "
            "has them."
        )


def lacking_raw_data_alone(repo: Repo, changes: Mapping[str, list[Any]]) -> set[str]:
    """Return the stages that differ from `dvc.lock` in nothing but that raw data are not here.

    `changes` is DVC's status by stage. Data of which a `.dvc` file has another digest than `dvc.lock` do count.
    """
    absent = _absent(repo)
    tracked = {out.fs_path: out.hash_info for stage in repo.index.stages if not stage.cmd for out in stage.outs}
    found = set()
    for stage in repo.index.stages:
        name = stage.addressing.rpartition(":")[2]
        deps = stage.deps if stage.cmd else []  # those of `dvc import-url` may lie on a server: it is not asked
        is_same = all(dep.exists or tracked.get(dep.fs_path, dep.hash_info) == dep.hash_info for dep in deps)
        if is_same and all(_is_absence(change, absent) for change in changes.get(name, [])):
            found.add(name)
    return found


def _absent(repo: Repo) -> list[Path]:
    made = {str(out) for stage in repo.index.stages if stage.cmd for out in stage.outs}
    read = {str(dep) for stage in repo.index.stages if stage.cmd for dep in stage.deps if not dep.exists} - made
    tracked = {str(out) for stage in repo.index.stages if not stage.cmd for out in stage.outs if not out.exists}
    return [path for path in map(Path, sorted(read | tracked)) if path.parts[0] not in PACKAGES]


def _is_absence(change: Any, absent: Collection[Path]) -> bool:
    """Whether an entry of DVC's status says only that `absent` data, or parts of a folder, are not here."""
    return isinstance(change, dict) and all(
        any(one.is_relative_to(path) for one in absent) for paths in change.values() for path in paths
    )
