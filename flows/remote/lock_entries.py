"""Entries of `dvc.lock`: read on one host, merged on another, always under DVC's own lock.

DVC rewrites `dvc.lock` in place while it holds its lock, so nobody else may read or write the file without it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, OutputNotFoundError
from dvc.repo import Repo, lock_repo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from coronet_core.data.file_names import relative_path
from coronet_core.support.errors import CoroNetError, DataError
from coronet_core.support.whole_files import write_whole
from tasks.runtime.paths import DVC_LOCK
from tasks.runtime.safe_text.identifiers import DVC_MD5, matching

SCHEMA = "2.0"
KINDS = ("deps", "outs")
ENTRY_KEYS = {"path", "hash", "md5", "size", "nfiles", "isexec"}
"""What DVC writes of a file or folder that is in its cache."""


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """What a stage reads, by where it comes from. Paths are relative to the project."""

    outs: tuple[str, ...]
    """Outs of other stages, and those of its own that DVC leaves in place (`persist: true`): it may go on from them."""
    upstream: tuple[str, ...]
    """The stages that make them; the stage itself for its own."""
    deps: dict[str, str]
    """MD5 of each dep as it is now, params aside; a dep that is not there is left out."""


@contextmanager
def locked_project(folder: Path = Path()) -> Iterator[Repo]:
    """Hold DVC's lock on the project in `folder`, having waited for it. Raises CoroNetError for DVC's errors."""
    try:
        with Repo(str(folder), _wait_for_lock=True) as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        raise CoroNetError(f"DVC: {error}") from error


def inputs_of(repo: Repo, stage: str) -> StageInputs:
    """Return what `stage` reads, as far as it is there. To be called under the project's lock."""
    found = stage_of(repo, stage)
    outs, upstream = [], []
    for dep in found.deps:
        try:
            makers = [out.stage.name for out in repo.find_outs_by_path(dep.fs_path)]
        except OutputNotFoundError:
            continue
        outs.append(dep.def_path)
        upstream += makers
    own = [out.def_path for out in found.outs if out.persist]
    return StageInputs(
        outs=(*outs, *own),
        upstream=tuple(dict.fromkeys([*upstream, *([stage] if own else [])])),
        deps={dep.def_path: dep.get_hash().value for dep in found.deps if dep.hash_name == "md5" and dep.exists},
    )


def stage_of(repo: Repo, name: str) -> Any:
    """Return DVC's stage of this name. DVC's own search by name means the current folder, wherever `repo` is.

    Raises DataError if there is none.
    """
    found = next((stage for stage in repo.index.stages if getattr(stage, "name", None) == name), None)
    if found is None:
        raise DataError(f"{name}: no such stage in dvc.yaml. Request a stage of this commit.")
    return found


def what_is_stale(repo: Repo, stage: str) -> list[str]:
    """Return what DVC finds changed for `stage`, in its words; empty if it is up to date."""
    status = repo.status(targets=[stage])
    found = [entry for address, entries in status.items() if address.rpartition(":")[2] == stage for entry in entries]
    return [_described(entry) for entry in found]


def read_entries(folder: Path = Path()) -> dict[str, Any]:
    """Return the entries of `dvc.lock` in `folder` by stage. To be called under the project's lock."""
    path = folder / DVC_LOCK
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return dict((content or {}).get("stages", {}))


def lock_text(entries: Mapping[str, Any], stages: Iterable[str]) -> str:
    """Return the content of a `dvc.lock` with those of `stages` that have an entry."""
    return _dumped({"schema": SCHEMA, "stages": {stage: entries[stage] for stage in stages if stage in entries}})


def merge_entry(stage: str, text: str) -> None:
    """Put the entry of `stage`, from a `dvc.lock` with the content `text`, into the project's; others stay.

    Raises DataError when it has none, or one that DVC would not write.
    """
    entry = check_lock(text).get(stage)
    if entry is None:
        raise DataError(f"dvc.lock of another host: no entry of {stage}. Run the stage again.")
    with locked_project():
        entries = read_entries() | {stage: entry}
        merged = lock_text(entries, entries)
        write_whole(DVC_LOCK, lambda partial: partial.write_text(merged, encoding="utf-8"))


def check_lock(text: str) -> dict[str, Any]:
    """Return the entries of a `dvc.lock` with the content `text`, from another host, by stage.

    Raises DataError unless it is one: DVC makes paths of its cache of the digests, and paths of the project of the
    outs, and takes both as they are.
    """
    try:
        stages = dict(YAML(typ="safe").load(text)["stages"])
        entries = [(kind, one) for stage in stages.values() for kind in KINDS for one in stage.get(kind, [])]
        for kind, one in entries:
            _check_entry(kind, one)
    except (YAMLError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(f"dvc.lock of another host: invalid ({type(error).__name__}). Run the stage again.") from error
    return stages


def _check_entry(kind: str, entry: Mapping[str, Any]) -> None:
    if unknown := sorted(entry.keys() - ENTRY_KEYS):
        raise DataError(
            f"dvc.lock of another host: {unknown[0]!r} of {entry['path']!r} is unknown. Run the stage again."
        )
    if kind == "outs":
        relative_path(entry["path"], "dvc.lock of another host: out")
    if "md5" in entry:
        matching(DVC_MD5, entry["md5"], f"dvc.lock of another host: md5 of {entry['path']!r}")


def _dumped(content: Any) -> str:
    stream = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(content, stream)
    return stream.getvalue()


def _described(entry: Any) -> str:
    """Return `changed deps: data/raw modified` for DVC's {"changed deps": {"data/raw": "modified"}}."""
    if not isinstance(entry, dict):
        return str(entry)
    return "; ".join(
        f"{kind}: {', '.join(f'{path} {how}' for path, how in changed.items())}"
        if isinstance(changed, dict)
        else f"{kind}: {changed}"
        for kind, changed in entry.items()
    )
