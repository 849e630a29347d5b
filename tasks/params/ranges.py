"""Allowed ranges of parameters, said in full in every error about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


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
