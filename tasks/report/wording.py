"""Words of radiologists for names that files have, and what a page calls the images that it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

RADIOLOGY: Final = {"view": "projection", "age_group": "age in years"}


def words(name: str) -> str:
    """Return a key as a reader knows it: without underscores, and `view` as the projection (PA, AP)."""
    return RADIOLOGY.get(name, name.replace("_", " "))


@dataclass(frozen=True)
class Tested:
    """The images whose figures a page shows."""

    images: str
    """What they are called, in the plural."""
    row: str
    """Name of their row in a table."""
    names_file: str
    """File that has the name of each."""


@dataclass(frozen=True)
class Beside:
    """Figures of other images, shown in the same tables."""

    name: str
    """Name of their row."""
    note: str
    """A sentence on how far they can be compared."""
    figures: Mapping[str, Any]
    """`overall` by name; `sensitivity`, `ppv` and, if known, `specificity` by class; and the `confusion_matrix`."""
