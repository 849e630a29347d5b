"""Train, validation and test, or folds: patients apart, classes in proportion, the same for the same seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from coronet_core.common.classes import CLASSES, ClassName, SplitName
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted

DEALT_FIRST: Final[tuple[SplitName, ...]] = ("test", "validation", "train")


def fractions_of(test_fraction: float, validation_fraction: float) -> dict[SplitName, float]:
    """Return the share of each split; `validation_fraction` is meant of what is left beside the test split."""
    validation = validation_fraction * (1 - test_fraction)
    return {"test": test_fraction, "validation": validation, "train": 1 - test_fraction - validation}


def assign_splits(
    patients: Sequence[str],
    labels: Sequence[ClassName],
    fractions: Mapping[SplitName, float],
    seed: int,
    previous: Mapping[str, SplitName] | None = None,
) -> list[SplitName]:
    """Return the split of each image, given its patient (or group of patients) and its label.

    Patients in `previous` stay where they were. The others are grouped by class (one with images of several classes
    by the rarest of them), put in an order that depends on `seed` and their ids alone, and dealt out so that each
    split comes as near as it can to its share of the class's images. The order of the images does not matter.

    Raises DataError when a class has no images, or too few patients to be in all the splits of `fractions`.
    """
    class_sizes = Counter(labels)
    for label in CLASSES:
        if label not in class_sizes:
            raise DataError(
                f"class {label} has no images. Add some: a folder called {label}, rows with this label in the labels "
                "CSV, a finding that the rules of a source map to it, or patients of the phantom."
            )
    labels_of: dict[str, Counter[ClassName]] = defaultdict(Counter)
    for patient, label in zip(patients, labels, strict=True):
        labels_of[patient][label] += 1
    groups: dict[ClassName, dict[str, int]] = defaultdict(dict)
    for patient, counts in labels_of.items():
        rarest = min(counts, key=lambda label: (class_sizes[label], label))
        groups[rarest][patient] = counts.total()
    splits: dict[str, SplitName] = {}
    for group in groups.values():
        old = {patient: split for patient, split in (previous or {}).items() if patient in group}
        splits |= old | _deal(group, old, fractions, seed)
    for label in CLASSES:
        _require_all_splits(label, [splits[patient] for patient, n in labels_of.items() if label in n], fractions)
    return [splits[patient] for patient in patients]


def _deal(
    group: Mapping[str, int], old: Mapping[str, SplitName], fractions: Mapping[SplitName, float], seed: int
) -> dict[str, SplitName]:
    """Deal the patients of `group` (id to number of images) that are not in `old`, where they are missing most."""
    new = sorted(group.keys() - old.keys(), key=lambda patient: hashlib.sha256(f"{seed}/{patient}".encode()).digest())
    order = [split for split in DEALT_FIRST if split in fractions]
    has = Counter(dict.fromkeys(order, 0))
    for patient, split in old.items():
        has[split] += group[patient]
    lacks = {split: max(0.0, fractions[split] * sum(group.values()) - has[split]) for split in order}
    total = sum(group[patient] for patient in new)
    scale = total / (sum(lacks.values()) or 1)
    middles, n_before = [], 0
    for patient in new:
        middles.append(n_before + group[patient] / 2)
        n_before += group[patient]
    ends, reached = [], 0.0  # how many of the new patients come before the end of each split's share
    for split in order[:-1]:
        reached += lacks[split] * scale
        ends.append(sum(middle < reached for middle in middles))
    ends = _leave_one_for_each(ends, len(new), [not has[split] for split in order])
    return {patient: order[sum(place >= end for end in ends)] for place, patient in enumerate(new)}


def _leave_one_for_each(ends: list[int], n_new: int, is_empty: list[bool]) -> list[int]:
    """Move `ends` so that each split that is empty gets a patient, if there are enough of them."""
    if n_new < sum(is_empty):
        return ends
    start, moved = 0, []
    for place, end in enumerate(ends):
        needed_after = sum(is_empty[place + 1 :])
        start = min(max(end, start + is_empty[place]), n_new - needed_after)
        moved.append(start)
    return moved


def _require_all_splits(label: ClassName, splits: list[SplitName], fractions: Mapping[SplitName, float]) -> None:
    if len(splits) < len(fractions):
        *others, last = reversed([split for split in DEALT_FIRST if split in fractions])
        raise DataError(
            f"class {label}: {counted(len(splits), 'patient')} cannot fill {', '.join(others)} and {last} without one "
            f"patient in two of them. Add images of {counted(len(fractions) - len(splits), f'more {label} patient')} "
            "or more."
        )
    if missing := set(fractions) - set(splits):
        raise DataError(
            f"class {label}: none of its {len(splits)} patients, most of whom have images of other classes too, was "
            f"assigned to {' and '.join(sorted(missing))}. Choose another seed, or add {label} patients."
        )


def assign_folds(wholes: Sequence[str], labels: Sequence[ClassName], n_folds: int, seed: int) -> list[int]:
    """Return the fold of each image, 1 to `n_folds`, given what must stay whole (its patient) and its label.

    The order of the images does not matter. Raises DataError when a class is not in every fold.
    """
    order = np.lexsort([labels, wholes])
    sorted_wholes, sorted_labels = np.asarray(wholes)[order], np.asarray(labels)[order]
    for label in CLASSES:
        n = len(np.unique(sorted_wholes[sorted_labels == label]))
        if n < n_folds:
            raise DataError(
                f"class {label}: {counted(n, 'patient')} cannot be in {n_folds} folds without one patient in two of "
                f"them. Use {max(n, 2)} folds or fewer, or add {label} patients."
            )
    folds = np.zeros(len(labels), dtype=np.int64)
    dealer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for fold, (_, members) in enumerate(dealer.split(sorted_labels, sorted_labels, sorted_wholes), start=1):
        folds[order[members]] = fold
        if missing := set(CLASSES) - set(sorted_labels[members]):
            raise DataError(
                f"class {min(missing)} is missing from fold {fold} of {n_folds}, since some patients have images of "
                "several classes. Choose another seed, or fewer folds."
            )
    return [int(fold) for fold in folds]
