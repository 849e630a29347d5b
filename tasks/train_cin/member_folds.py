"""Which images each member of the CIN is trained and validated on."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import read_manifest
from coronet_core.support.errors import DataError
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.paths import MANIFEST


class MemberImages(NamedTuple):
    """Rows of the residual index."""

    training: pd.DataFrame
    validation: pd.DataFrame


def images_of_members(index: pd.DataFrame, params: CinParams, seed: int) -> list[MemberImages]:
    """Return the images of each member: the training and the validation split, or folds of the training split.

    With folds, a member's validation images choose its best epoch alone; the validation split, from which thresholds
    and the temperature are taken, has then been seen by no member. Raises DataError if there are too few patients for
    so many folds.
    """
    training, validation = (index[index["split"] == split] for split in ("train", "validation"))
    if params.member_images == "all":
        return [MemberImages(training, validation)] * params.members
    groups = read_manifest(MANIFEST).loc[training.index, "patient_group"]
    fold = fold_of_groups(groups, training["label"], params.members, seed)
    images = [MemberImages(training[fold != n], training[fold == n]) for n in range(params.members)]
    if any(set(one.training["label"]) != set(CLASSES) or one.validation.empty for one in images):
        raise DataError(
            f"cin.members = {params.members}: too few training patients for so many folds. Give fewer members, or set "
            "cin.member_images to all."
        )
    return images


def fold_of_groups(groups: "pd.Series[str]", labels: "pd.Series[str]", n_folds: int, seed: int) -> "pd.Series[int]":
    """Return the fold of each image, 0 to n_folds - 1: patients stay whole, classes are spread evenly.

    Each group of patients, the largest first and equals by lot, goes where the class of most of it has fewest images.
    """
    counts = pd.crosstab(groups, labels)
    order = np.random.default_rng(seed).permutation(len(counts))
    ranked = counts.iloc[order].loc[lambda table: table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    held = np.zeros((n_folds, counts.shape[1]), dtype=np.int64)
    fold_of: dict[str, int] = {}
    for group, row in zip(ranked.index, ranked.to_numpy(), strict=True):
        main = int(row.argmax())
        chosen = min(range(n_folds), key=lambda n: (held[n, main], held[n].sum()))
        held[chosen] += row
        fold_of[str(group)] = chosen
    return groups.map(fold_of)
