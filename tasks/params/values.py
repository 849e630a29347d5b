"""Kinds of values that several sections of `params.yaml` take."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict

from coronet_core.options import COARSEST_STRIDE
from tasks.params.ranges import Allowed, between, whole

STRICT = ConfigDict(extra="forbid", strict=True)


def _has_one_group(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False


def _stays_inside(path: str) -> bool:
    return bool(path) and not Path(path).is_absolute() and ".." not in Path(path).parts


Folder = Annotated[str, Allowed("a folder that exists", lambda path: Path(path).is_dir())]
InnerPath = Annotated[str, Allowed("a relative path without ..", _stays_inside)]
Pattern = Annotated[str, Allowed("a regular expression with one group", _has_one_group)]
Fraction = Annotated[float, between(0, 1)]
SidePx = Annotated[int, whole(64, 2048, multiple_of=COARSEST_STRIDE)]
ShardImages = Annotated[int, whole(1, 100_000)]
