"""What differs between two parameter files, by dotted key."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tasks.runtime.params.presets import merged, read_files

ABSENT: Final = object()


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
