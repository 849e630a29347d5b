"""Folds: every image tested once, patients whole, classes everywhere, whatever the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.data.splitting.split import assign_folds
from coronet_core.support.errors import DataError

PATIENTS = [f"{label}-{number}" for label in CLASSES for number in range(10) for _ in range(1 + number % 3)]
LABELS: list[ClassName] = [label for label in CLASSES for number in range(10) for _ in range(1 + number % 3)]


@given(seed=st.integers(0, 2**31 - 1), n_folds=st.integers(2, 5))
def test_patients_stay_whole_and_every_class_is_in_every_fold(seed: int, n_folds: int) -> None:
    folds = assign_folds(PATIENTS, LABELS, n_folds, seed)
    assert set(folds) == set(range(1, n_folds + 1))
    assert len({(patient, fold) for patient, fold in zip(PATIENTS, folds, strict=True)}) == len(set(PATIENTS))
    for fold in set(folds):
        assert {label for label, own in zip(LABELS, folds, strict=True) if own == fold} == set(CLASSES)


@given(st.permutations(range(len(PATIENTS))))
def test_the_order_of_the_images_does_not_matter(order: list[int]) -> None:
    folds = np.array(assign_folds(PATIENTS, LABELS, 5, seed=3))
    shuffled = assign_folds([PATIENTS[i] for i in order], [LABELS[i] for i in order], 5, seed=3)
    assert shuffled == folds[order].tolist()


def test_folds_are_about_equal() -> None:
    sizes = np.bincount(assign_folds(PATIENTS, LABELS, 5, seed=0))[1:]
    assert sizes.max() - sizes.min() <= 4


def test_too_few_patients_of_a_class_are_named() -> None:
    with pytest.raises(DataError, match=r"class healthy: 10 patients cannot be in 11 folds.*Use 10 folds or fewer"):
        assign_folds(PATIENTS, LABELS, 11, seed=0)
