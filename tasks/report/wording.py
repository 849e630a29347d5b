"""Words of radiologists for names that files have, and what a page calls the images that it is about."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

RADIOLOGY: Final = {"view": "projection", "age_group": "age in years"}

AUTOENCODERS: Final = {
    "tfen.healthy": "autoencoder of healthy lungs alone",
    "tfen.pneumonia": "autoencoder of pneumonia alone",
}


def words(name: str) -> str:
    """Return a key as a reader knows it: without underscores, and `view` as the projection (PA, AP)."""
    return RADIOLOGY.get(name, name.replace("_", " "))


def either(names: Iterable[str]) -> str:
    """Return alternatives as text: "A, B or C"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def randomised_layers(level: str) -> str:
    """Return a level of the randomisation test as a reader knows it: `cin.layer4` is the CIN down to its layer 4."""
    if level in AUTOENCODERS:
        return AUTOENCODERS[level]
    layer = re.sub(r"(?<=[a-z])(?=[0-9])", " ", level.removeprefix("cin.").replace("_", " "))
    return f"CIN, from its last layer down to {layer}"


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
