"""Types of parameters: bounded numbers, dates, choices."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from coronet_core.common.literals import COARSEST_STRIDE

STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Allowed:
    """Annotation of a field: what its values may be, in words and as a test."""

    description: str
    accepts: Callable[[Any], bool]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def _validate(self, value: Any, inner: Callable[[Any], Any]) -> Any:
        try:
            validated = inner(value)
        except ValidationError:
            validated = None
        if validated is None or not self.accepts(validated):
            raise PydanticCustomError("allowed", "allowed: {allowed}", {"allowed": self.description})
        return validated


def whole(low: int, high: int, multiple_of: int = 1) -> Allowed:
    """Whole numbers from `low` to `high`."""
    kind = "a whole number" if multiple_of == 1 else f"a multiple of {multiple_of}"
    return Allowed(f"{kind} from {low} to {high}", lambda n: low <= n <= high and n % multiple_of == 0)


def number(low: float, high: float) -> Allowed:
    """Numbers from `low` to `high`, both included."""
    return Allowed(f"a number from {low:g} to {high:g}", lambda x: low <= x <= high)


def above(low: float, high: float) -> Allowed:
    """Numbers above `low`, at most `high`."""
    return Allowed(f"a number above {low:g}, at most {high:g}", lambda x: low < x <= high)


def between(low: float, high: float) -> Allowed:
    """Numbers above `low` and below `high`."""
    return Allowed(f"a number above {low:g} and below {high:g}", lambda x: low < x < high)


def _has_one_group(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False


def _stays_inside(path: str) -> bool:
    return bool(path) and not Path(path).is_absolute() and ".." not in Path(path).parts


Folder = Annotated[str, Allowed("the path of a folder", lambda path: bool(path) and not Path(path).is_file())]
InnerPath = Annotated[str, Allowed("a relative path without ..", _stays_inside)]
Pattern = Annotated[str, Allowed("a regular expression with one group", _has_one_group)]
Fraction = Annotated[float, between(0, 1)]
SidePx = Annotated[int, whole(64, 2048, multiple_of=COARSEST_STRIDE)]
ShardImages = Annotated[int, whole(1, 100_000)]

Epochs = Annotated[int, whole(1, 10_000)]
Patience = Annotated[int, whole(1, 10_000)]
BatchSize = Annotated[int, whole(1, 4096)]
LearningRate = Annotated[float, above(0, 1)]
WeightDecay = Annotated[float, number(0, 1)]
