"""What `coronet doctor` finds of one thing."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "missing"]
"""`missing`: something that is needed."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of `coronet doctor`."""

    what: str
    found: str
    level: Level = "ok"
    remedy: str = ""
    """What to do about it, unless all is well."""
