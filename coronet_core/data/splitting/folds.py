"""The folds of a cross-validation: patients apart, classes in proportion, the same for the same seed."""

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.support.errors import DataError


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
                f"class {label}: {n} patients cannot be in {n_folds} folds without one patient in two of them. Take "
                f"{max(n, 2)} folds or fewer, or add {label} patients."
            )
    folds = np.zeros(len(labels), dtype=np.int64)
    dealer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for fold, (_, members) in enumerate(dealer.split(sorted_labels, sorted_labels, sorted_wholes), start=1):
        folds[order[members]] = fold
        if missing := set(CLASSES) - set(sorted_labels[members]):
            raise DataError(
                f"class {min(missing)} did not come into fold {fold} of {n_folds}, as patients have images of several "
                "classes. Choose another seed, or fewer folds."
            )
    return [int(fold) for fold in folds]
