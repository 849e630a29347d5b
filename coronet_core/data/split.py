"""Train, validation and test: patients apart, classes in proportion, the same for the same seed."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from coronet_core.classes import CLASSES, SPLITS, ClassName, SplitName
from coronet_core.errors import DataError


def assign_splits(
    patients: Sequence[str],
    labels: Sequence[ClassName],
    *,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
) -> list[SplitName]:
    """Return the split of each image, given its patient and its label.

    Patients are grouped by class (one with images of several classes by the rarest of them), put in an order that
    depends on `seed` and their ids alone, and dealt out by their share of the group's images: `test_fraction` of
    all to test, `validation_fraction` of the rest to validation. The order of the images does not matter.

    Raises DataError when a class has no images, or too few patients to be in all three splits.
    """
    class_sizes = Counter(labels)
    for label in CLASSES:
        if label not in class_sizes:
            raise DataError(
                f"class {label} has no images. Add some: a folder called {label}, rows with this label in the labels "
                "CSV, or patients of the phantom."
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
        splits |= _deal(group, test_fraction, validation_fraction, seed)
    for label in class_sizes:
        _require_all_splits(label, [splits[patient] for patient, counts in labels_of.items() if label in counts])
    return [splits[patient] for patient in patients]


def _require_all_splits(label: ClassName, splits: list[SplitName]) -> None:
    if len(splits) < len(SPLITS):
        raise DataError(
            f"class {label}: {len(splits)} patients cannot fill train, validation and test without one patient in "
            f"two of them. Add images of at least {len(SPLITS) - len(splits)} more {label} patients."
        )
    if missing := set(SPLITS) - set(splits):
        raise DataError(
            f"class {label}: none of its {len(splits)} patients, most of whom have images of other classes too, came "
            f"into {' and '.join(sorted(missing))}. Choose another seed, or add {label} patients."
        )


def _deal(group: dict[str, int], test_fraction: float, validation_fraction: float, seed: int) -> dict[str, SplitName]:
    order = sorted(group, key=lambda patient: hashlib.sha256(f"{seed}/{patient}".encode()).digest())
    held_out = test_fraction + validation_fraction * (1 - test_fraction)
    total = sum(group.values())
    middles, n_before = [], 0
    for patient in order:
        middles.append((n_before + group[patient] / 2) / total)
        n_before += group[patient]
    n_test = sum(middle < test_fraction for middle in middles)
    n_held_out = sum(middle < held_out for middle in middles)
    if len(order) >= len(SPLITS):  # at least one patient for each split
        n_test = min(max(n_test, 1), len(order) - 2)
        n_held_out = min(max(n_held_out, n_test + 1), len(order) - 1)
    return {
        patient: "test" if place < n_test else "validation" if place < n_held_out else "train"
        for place, patient in enumerate(order)
    }
