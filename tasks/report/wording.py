"""Words of radiologists for names that files and params have."""

from typing import Final

RADIOLOGY: Final = {"view": "projection", "age_group": "age in years"}


def words(name: str) -> str:
    """Return a key as a reader knows it: without underscores, and `view` as the projection (PA, AP)."""
    return RADIOLOGY.get(name, name.replace("_", " "))
