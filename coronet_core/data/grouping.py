"""Groups of images that figures are given for: by source, view, sex and age. Images without a value are a group too."""

from typing import Final

import pandas as pd

UNKNOWN: Final = "unknown"
AGE_GROUPS: Final = {"0-17": 18, "18-39": 40, "40-59": 60, "60-79": 80, "80 and over": 200}
"""Name of each group and the age, in years, below which it ends."""


def groupings(images: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """Return the group of each row of `images` by its source, its view, its sex and its age group."""
    values = {name: images[name] for name in ("source", "view", "sex")} | {"age_group": _age_groups(images["age"])}
    return {name: column.fillna(UNKNOWN).astype(str) for name, column in values.items()}


def _age_groups(ages: "pd.Series[float]") -> "pd.Series[str]":
    edges = [0, *AGE_GROUPS.values()]
    groups = pd.cut(ages, edges, right=False, labels=list(AGE_GROUPS))
    return groups.astype(object)
