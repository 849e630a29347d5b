"""Digests of the code that decides a result, found through its imports: other code does not go on with its work."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import grimp
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from coronet_core.support.errors import CoroNetError
from tasks.runtime.files import digest

PACKAGES: Final = ("coronet_core", "tasks")
DVC_FILE: Final = Path("dvc.yaml")
HOME: Final = Path(__file__).parents[2]
"""The folder of the code that runs. The paths in `dvc.yaml` are relative to it: a project's folder, or a copy's."""


def code_digest(files: Iterable[Path]) -> str:
    """Return a digest of the names and contents of `files` of code."""
    return digest(*(part for file in sorted(files) for part in (file.relative_to(HOME).as_posix(), file)))


def code_of_stage(stage: str) -> list[Path]:
    """Return the files of code among the deps of `stage`, as the `dvc.yaml` of the current folder states them.

    Of a stage that it does not know, or of which it names code that is not there, it is all code: too much rather than
    too little. Raises CoroNetError if `dvc.yaml` cannot be read.
    """
    code = [HOME / dep for dep in _deps_of(stage) if Path(dep).parts[:1] and Path(dep).parts[0] in PACKAGES]
    if not code or not all(path.exists() for path in code):
        code = [HOME / package for package in PACKAGES]
    return [file for path in code for file in _files_in(path)]


def _deps_of(stage: str) -> list[str]:
    """Return the deps of a stage, none if `dvc.yaml` does not know it; items of a `foreach` have the same code."""
    if not DVC_FILE.is_file():
        return []
    try:
        content: Any = YAML(typ="safe", pure=True).load(DVC_FILE.read_text(encoding="utf-8"))
        found = content["stages"].get(stage.partition("@")[0], {})
    except (YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise CoroNetError(f"{DVC_FILE}: cannot be read ({reason}). Correct it, or restore it with git.") from error
    return list(found.get("do", found).get("deps", []))


def _files_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


def modules_needed_by(module: str) -> set[str]:
    """Return `module`, all modules of the project that it imports, directly or not, and the packages they are in."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found, waiting = set[str](), {module}
    while waiting:
        found.add(current := waiting.pop())
        packages = {current.rsplit(".", level)[0] for level in range(1, current.count(".") + 1)}
        waiting |= (graph.find_modules_directly_imported_by(current) | packages) - found
    return found


def files_needed_by(module: str) -> list[Path]:
    """Return the files of these modules."""
    return [_file_of(HOME.joinpath(*name.split("."))) for name in modules_needed_by(module)]


def _file_of(module: Path) -> Path:
    return module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
