"""What crashes and disks do to files."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

Damage = Callable[[bytes], bytes]


def _other_bytes(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place : place + 8] = bytes(255 - byte for byte in content[place : place + 8])
    return bytes(changed)


DAMAGES: Final[dict[str, Damage]] = {
    "nothing left": lambda _: b"",
    "half": lambda content: content[: len(content) // 2],
    "all but the last byte": lambda content: content[:-1],
    "other bytes in the middle": lambda content: _other_bytes(content, len(content) // 2),
    "other first bytes": lambda content: _other_bytes(content, 0),
    "zeros": lambda content: bytes(len(content)),
}
every_damage = pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage, id=name, marks=[] if name in {"half", "other bytes in the middle"} else pytest.mark.slow)
        for name, damage in DAMAGES.items()
    ],
)


def spoil(path: Path, damage: Damage) -> None:
    """Damage a file where it lies."""
    path.write_bytes(damage(path.read_bytes()))
