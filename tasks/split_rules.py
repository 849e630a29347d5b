"""From listed images to a split: duplicates, leaks and patients, in that order."""

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.classes import SPLITS, SplitName
from coronet_core.data.audit import findings
from coronet_core.data.duplicates import drop_duplicates, mark_duplicates
from coronet_core.data.near_duplicates import Images
from coronet_core.data.published import treat_leaks
from coronet_core.data.split import assign_splits, fractions_of
from tasks.files import digest
from tasks.params import DataParams, SplitByPatients

MOST_SEEN_FIRST: Final = SPLITS
"""A group whose patients were apart goes where the models that exist have seen most of it: to train before test."""


def apply_rules(
    manifest: pd.DataFrame,
    data: DataParams,
    seed: int,
    images_at: Callable[[NDArray[np.int64]], Images] | None,
    previous: pd.DataFrame,
) -> dict[str, Any]:
    """Fill all columns of `manifest` that the split decides, in place; returns what was found on the way.

    `previous` tells `patient_id` and `split` of patients whom an earlier build has assigned: they stay there.
    `images_at` returns the images at given positions; None if nothing was decoded.
    """
    mark_duplicates(manifest, images_at)
    found = findings(manifest)
    if data.duplicates == "drop":
        drop_duplicates(manifest)
    if isinstance(data.split, SplitByPatients):
        everywhere = pd.Series(data=True, index=manifest.index)
        fractions = fractions_of(data.split.test_fraction, data.split.validation_fraction)
        _assign(manifest, everywhere, fractions, seed, previous)
        return found
    treat_leaks(manifest, data.split.leaks)
    validation = data.split.validation_fraction
    in_training_part = manifest["published_part"] == "train"
    _assign(manifest, in_training_part, {"validation": validation, "train": 1 - validation}, seed, previous)
    manifest.loc[manifest["rejected_because"].isna() & ~in_training_part, "split"] = "test"
    return found


def _assign(
    manifest: pd.DataFrame, among: pd.Series, fractions: dict[SplitName, float], seed: int, previous: pd.DataFrame
) -> None:
    images = manifest[among & manifest["rejected_because"].isna()]
    known = images[["patient_id", "patient_group"]].drop_duplicates().merge(previous, on="patient_id")
    known = known[known["split"].isin(list(fractions))]
    known["order"] = known["split"].map(MOST_SEEN_FIRST.index)
    stays = known.sort_values("order").drop_duplicates("patient_group").set_index("patient_group")["split"]
    splits = assign_splits(
        images["patient_group"].tolist(),
        images["label"].tolist(),
        fractions,
        seed,
        cast("dict[str, SplitName]", stays.to_dict()),
    )
    manifest.loc[images.index, "split"] = splits


def split_rule(data: DataParams, seed: int) -> str:
    """Return the digest of what decides where a patient goes: under another rule, all patients are dealt anew."""
    return digest(seed, data.split)
