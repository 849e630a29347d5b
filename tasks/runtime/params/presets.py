"""Parameter files that extend others: resolved into a whole, and compared key by key."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from coronet_core.support.errors import ParamsError

PRESETS: Final = Path("params")
EXTENDS: Final = "extends"
RULE: Final = "by"
NO_WRAPPING: Final = 10_000
ABSENT: Final = object()


@dataclass(frozen=True)
class ParamsFile:
    """What a parameter file itself states."""

    path: Path
    values: Any
    """A mapping, without `extends`; what else is in a file that extends nothing is left to the schema."""


def read_files(path: Path, kind: Literal["safe", "rt"] = "safe") -> list[ParamsFile]:
    """Return the file, its base, that one's base and so on; with `rt` values have their comments.

    Raises ParamsError if one of them cannot be read, or extends what is not there or extends it already.
    """
    files: list[ParamsFile] = []
    following: Path | None = path
    while following is not None:
        if following.resolve() in [file.path.resolve() for file in files]:
            chain = " extends ".join(str(file.path) for file in files)
            raise ParamsError(f"{path}: {chain} extends {following}: a cycle. Remove `extends` from one of them.")
        values = read_yaml(following, kind)
        base = values.pop(EXTENDS, None) if isinstance(values, dict) else None
        if files and not isinstance(values, dict):
            raise ParamsError(f"{following}: has no keys, so {files[-1].path} cannot extend it.")
        files.append(ParamsFile(following, values))
        following = None if base is None else _base_of(following, base)
    return files


def merged(files: list[ParamsFile]) -> Any:
    """Return the values of all `files`, as `read_files` lists them."""
    *changes, values = [file.values for file in files]
    for change in reversed(changes):
        values = _merge(values, change)
    return values


def whole_file(path: Path) -> bytes:
    """Return the file with all that its bases add: their comments, and its own at the head. A whole file stays as is.

    Raises ParamsError as `read_files` does. Whether the values are sound is not looked at.
    """
    files = read_files(path, "rt")
    if len(files) == 1:
        return path.read_bytes()
    values = merged(files)
    values.ca.comment = None  # the base's head
    yaml = YAML()
    yaml.Representer = _WithNull
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = NO_WRAPPING
    body = io.BytesIO()
    yaml.dump(values, body)
    return _head(path).encode() + body.getvalue()


def read_yaml(path: Path, kind: Literal["safe", "rt"]) -> Any:
    """Return the content of a YAML file; raises ParamsError if it cannot be read."""
    if not path.is_file():
        raise ParamsError(
            f"{path}: no such parameter file. `coronet params show demo` prints a complete one; or restore it with git."
        )
    try:
        return YAML(typ=kind, pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path}: not valid YAML ({reason}). Correct it, or restore it with git.") from error


def find_file(name: str, folder: Path = Path()) -> Path:
    """Return the parameter file `name`: a path from `folder`, or the name of a preset there or else in `params/`.

    Raises ParamsError if there is none.
    """
    for path in (folder / name, folder / f"{name}.yaml", PRESETS / f"{name}.yaml"):
        if path.is_file():
            return path
    presets = ", ".join(path.stem for path in sorted(PRESETS.glob("*.yaml"))) or "none here"
    raise ParamsError(f"{name}: no such preset or file. Presets: {presets}.")


def _base_of(path: Path, base: Any) -> Path:
    if not isinstance(base, str):
        raise ParamsError(f"{path}: {EXTENDS} = {base}: allowed: the name of a preset, or the path of a file")
    try:
        return find_file(base, path.parent)
    except ParamsError as error:
        raise ParamsError(f"{path}: {EXTENDS} = {error}") from error


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = values.copy()  # of a mapping with comments, one that has them too
    for key, change in changes.items():
        former: Any = values.get(key)
        result[key] = _merge(former, change) if _are_one_section(former, change) else change
    return result


def _are_one_section(former: Any, change: Any) -> bool:
    if not isinstance(former, dict) or not isinstance(change, dict):
        return False
    return change.get(RULE, former.get(RULE)) == former.get(RULE)


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"cin.epochs": 3}` as `{"cin": {"epochs": 3}}`."""
    found: dict[str, Any] = {}
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = found
        for step in sections:
            section = section.setdefault(step, {})
        section[name] = value
    return found


def changes_over(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file that extends one with the values `base` must state to have `values`, which are whole."""
    changes = {}
    for key, value in values.items():
        former: Any = base.get(key, ABSENT)
        if former != value:
            changes[key] = changes_over(former, value) if _are_one_section(former, value) else value
    return changes


class _WithNull(RoundTripRepresenter):
    """Writes `null` where ruamel would leave the place empty."""

    def null(self, _: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_WithNull.add_representer(type(None), _WithNull.null)


def _head(path: Path) -> str:
    """Return the comment that the file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    length = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join([*lines[:length], f"# Written from {path} and what that extends.", "", ""])


def differences(one: Path, other: Path) -> list[tuple[str, str, str]]:
    """Return each key whose values differ, with both values (`-` for none), all that the files extend included.

    Places in a list of sections count as keys, as in `data.sources.0.views`. Raises ParamsError as `read_files` does.
    """
    return list(_compared("", merged(read_files(one)), merged(read_files(other))))


def _compared(key: str, one: Any, other: Any) -> Iterator[tuple[str, str, str]]:
    parts, other_parts = _parts(one), _parts(other)
    if parts is None or other_parts is None:
        if one != other:
            yield key, _text(one), _text(other)
        return
    for name in [*parts, *(name for name in other_parts if name not in parts)]:
        inner = f"{key}.{name}" if key else name
        yield from _compared(inner, parts.get(name, ABSENT), other_parts.get(name, ABSENT))


def _parts(value: Any) -> dict[str, Any] | None:
    """Return what is in a section or in a list of sections; None for a single value."""
    if value is ABSENT:
        return {}
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return {str(position): item for position, item in enumerate(value)}
    return {str(name): item for name, item in value.items()} if isinstance(value, dict) and value else None


def _text(value: Any) -> str:
    if value is ABSENT:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
