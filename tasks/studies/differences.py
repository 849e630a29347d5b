"""Differences between the figures of two runs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure that differs."""

    name: str
    """Dotted, with positions in lists: `confusion_matrix.0.2`."""
    expected: Any
    found: Any


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], tolerance: float) -> list[Difference]:
    """Return the figures of `found` (a `metrics.json`) that differ from `expected`, sentences included.

    Numbers may differ by up to `tolerance`. A figure that only one of them has is None in the other.
    """
    first, second = dict(_leaves(expected)), dict(_leaves(found))
    return [
        Difference(name=name, expected=first.get(name), found=second.get(name))
        for name in first | second
        if name not in first or name not in second or not _are_alike(first[name], second[name], tolerance)
    ]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        inner = list(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inner = [(str(place), one) for place, one in enumerate(value)]
    else:
        yield name, value
        return
    for key, one in inner:
        yield from _leaves(one, f"{name}.{key}" if name else key)


def _are_alike(expected: Any, found: Any, tolerance: float) -> bool:
    numbers = [one for one in (expected, found) if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) == 2:  # noqa: PLR2004  # both
        return math.isclose(expected, found, rel_tol=0, abs_tol=tolerance)
    return bool(expected == found)
