"""Patients apart, classes in proportion, the same for the same seed."""

from collections import Counter, defaultdict
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coronet_core.common.classes import CLASSES, SPLITS, ClassName, SplitName
from coronet_core.data.splitting.split import assign_splits, fractions_of
from coronet_core.support.errors import DataError

Images = list[tuple[str, ClassName]]


def split(images: Images, seed: int = 1, previous: dict[str, SplitName] | None = None) -> list[SplitName]:
    patients, labels = zip(*images, strict=True)
    return assign_splits(patients, labels, fractions_of(0.2, 0.2), seed, previous)


def by_patient(images: Images, splits: list[SplitName]) -> dict[str, SplitName]:
    return {patient: name for (patient, _), name in zip(images, splits, strict=True)}


@st.composite
def data_sets(draw: st.DrawFn) -> Images:
    """At least six patients of each class, 1 to 4 images each, some of them with images of a second class."""
    images: Images = []
    for label in CLASSES:
        for number in range(draw(st.integers(6, 12))):
            images += [(f"{label}-{number}", label)] * draw(st.integers(1, 4))
    both = draw(st.integers(0, 3))
    return images + [(f"healthy-{number}", "pneumonia") for number in range(both)]


@given(data_sets(), st.integers(0, 2**31 - 1))
def test_no_patient_is_in_two_splits(images: Images, seed: int) -> None:
    splits_of = defaultdict(set)
    for (patient, _), name in zip(images, split(images, seed), strict=True):
        splits_of[patient].add(name)
    assert all(len(names) == 1 for names in splits_of.values())


@given(data_sets(), st.randoms())
def test_the_order_of_the_images_does_not_matter(images: Images, random: Random) -> None:
    shuffled = list(images)
    random.shuffle(shuffled)
    assert by_patient(images, split(images)) == by_patient(shuffled, split(shuffled))


@given(st.tuples(*[st.integers(3, 40)] * 3))
def test_every_class_is_in_every_split(sizes: tuple[int, int, int]) -> None:
    images: Images = [(f"{label}-{i}", label) for label, n in zip(CLASSES, sizes, strict=True) for i in range(n)]
    found = set(zip((label for _, label in images), split(images), strict=True))
    assert found == {(label, name) for label in CLASSES for name in SPLITS}


@given(data_sets(), data_sets(), st.integers(0, 2**31 - 1))
def test_old_patients_stay_when_images_are_added(images: Images, more: Images, seed: int) -> None:
    """Some of the added images are of old patients, under their old label or another one; others of new patients."""
    before = by_patient(images, split(images, seed))
    old = {patient for patient, _ in images}
    renamed = [(patient if i % 2 else f"new-{patient}", label) for i, (patient, label) in enumerate(more)]
    after = by_patient(images + renamed, split(images + renamed, seed, before))
    assert {patient: after[patient] for patient in old} == before


@given(data_sets(), st.randoms())
def test_new_patients_are_dealt_in_the_same_way_in_whatever_order_they_come(images: Images, random: Random) -> None:
    before = by_patient(images, split(images))
    added: Images = images + [(f"new-{patient}", label) for patient, label in images]
    shuffled = list(added)
    random.shuffle(shuffled)
    assert by_patient(added, split(added, 1, before)) == by_patient(shuffled, split(shuffled, 1, before))


def test_new_patients_go_where_they_are_missing() -> None:
    images: Images = [(f"{label}-{i}", label) for label in CLASSES for i in range(100)]
    all_trained_on: dict[str, SplitName] = {f"{label}-{i}": "train" for label in CLASSES for i in range(60)}
    counts = Counter(zip((label for _, label in images), split(images, 1, all_trained_on), strict=True))
    for label in CLASSES:
        assert [counts[label, name] for name in SPLITS] == [64, 16, 20]


def test_one_patient_of_a_class_for_each_split_whatever_the_others_hold() -> None:
    images: Images = [(f"{label}-{i}", label) for label in CLASSES for i in range(5)]
    previous: dict[str, SplitName] = {f"{label}-{i}": "test" for label in CLASSES for i in range(3)}
    found = {(label, name) for (_, label), name in zip(images, split(images, 1, previous), strict=True)}
    assert found == {(label, name) for label in CLASSES for name in SPLITS}


def test_without_a_test_fraction_nobody_is_tested_on() -> None:
    images: Images = [(f"{label}-{i}", label) for label in CLASSES for i in range(10)]
    patients, labels = zip(*images, strict=True)
    assert Counter(assign_splits(patients, labels, {"validation": 0.2, "train": 0.8}, 1)) == {
        "train": 24,
        "validation": 6,
    }


def test_fractions_are_met_in_each_class() -> None:
    images: Images = [(f"{label}-{i}", label) for label in CLASSES for i in range(100)]
    counts = Counter(zip((label for _, label in images), split(images), strict=True))
    for label in CLASSES:
        assert [counts[label, name] for name in SPLITS] == [64, 16, 20]


def test_another_seed_splits_otherwise() -> None:
    images: Images = [(f"{label}-{i}", label) for label in CLASSES for i in range(20)]
    assert split(images, seed=1) != split(images, seed=2)


def test_a_class_with_fewer_patients_than_splits_is_an_error() -> None:
    images: Images = [(f"{label}-{i}", label) for label in ("healthy", "pneumonia") for i in range(5)]
    images += [("a", "covid19"), ("b", "covid19"), ("b", "covid19")]
    with pytest.raises(DataError, match=r"class covid19: 2 patients .* Add images of 1 more covid19 patient or more"):
        split(images)


def test_a_class_whose_patients_all_belong_to_others_too_is_split_or_refused_with_a_remedy() -> None:
    images: Images = [(f"p{i}", label) for i in range(3) for label in ("healthy", "pneumonia")]
    images += [(f"c{i}", "covid19") for i in range(5)]
    names = dict(zip((patient for patient, _ in images), split(images), strict=True))
    assert {names[f"p{i}"] for i in range(3)} == set(SPLITS)


def test_a_class_that_misses_a_split_is_an_error() -> None:
    images: Images = [(f"{label}-{i}", label) for label in ("healthy", "covid19") for i in range(9)]
    whole = images + [(f"p{i}", "pneumonia") for i in range(9)]
    in_train = [patient for (patient, _), name in zip(whole, split(whole), strict=True) if name == "train"]
    images += [(patient, "pneumonia") for patient in in_train if not patient.startswith("p")]
    with pytest.raises(DataError, match=r"class pneumonia: none of its \d+ patients.*assigned to test.*another seed"):
        split(images)


def test_a_class_without_images_is_an_error() -> None:
    with pytest.raises(DataError, match=r"class pneumonia has no images\. Add some"):
        split([(f"{label}-{i}", label) for label in ("healthy", "covid19") for i in range(5)])
