"""Patients apart, classes in proportion, the same for the same seed."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coronet_core.classes import CLASSES, SPLITS, ClassName
from coronet_core.data.split import assign_splits
from coronet_core.errors import DataError

Images = list[tuple[str, ClassName]]


def split(images: Images, seed: int = 1) -> list[str]:
    patients, labels = zip(*images, strict=True)
    return assign_splits(patients, labels, test_fraction=0.2, validation_fraction=0.2, seed=seed)


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
def test_the_order_of_the_images_does_not_matter(images: Images, random: object) -> None:
    shuffled = list(images)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before = {image[0]: name for image, name in zip(images, split(images), strict=True)}
    after = {image[0]: name for image, name in zip(shuffled, split(shuffled), strict=True)}
    assert before == after


@given(st.tuples(*[st.integers(3, 40)] * 3))
def test_every_class_is_in_every_split(sizes: tuple[int, int, int]) -> None:
    images: Images = [(f"{label}-{i}", label) for label, n in zip(CLASSES, sizes, strict=True) for i in range(n)]
    found = set(zip((label for _, label in images), split(images), strict=True))
    assert found == {(label, name) for label in CLASSES for name in SPLITS}


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
    with pytest.raises(DataError, match=r"class covid19: 2 patients .* Add images of at least 1 more covid19 patients"):
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
    with pytest.raises(DataError, match=r"class pneumonia: none of its \d+ patients.*into test.*another seed"):
        split(images)


def test_a_class_without_images_is_an_error() -> None:
    with pytest.raises(DataError, match=r"class pneumonia has no images\. Add some"):
        split([(f"{label}-{i}", label) for label in ("healthy", "covid19") for i in range(5)])
