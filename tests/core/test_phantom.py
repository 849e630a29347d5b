"""The embedded demo data set."""

import numpy as np
import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import decode
from coronet_core.data.sources import phantom
from coronet_core.data.splitting.duplicates import near_duplicates, perceptual_hash

PATIENTS = {"healthy": 3, "pneumonia": 3, "covid19": 2}


def test_the_same_seed_draws_the_same_bytes() -> None:
    first, again = (phantom.records(PATIENTS, 2, 64, seed=4).records for _ in range(2))
    assert [record.read() for record in first] == [record.read() for record in again]


def test_another_seed_draws_other_phantoms() -> None:
    first, other = (phantom.draw(seed, "healthy", "p", 0, 96)[0] for seed in (1, 2))
    assert (first != other).mean() > 0.5


def test_images_of_a_patient_share_the_anatomy_and_differ_in_exposure() -> None:
    first, second = (phantom.draw(1, "covid19", "p", image, 96) for image in (0, 1))
    assert len(first[1]) == len(second[1])
    assert (first[0] != second[0]).any()


@pytest.mark.parametrize(("label", "n_boxes"), [("healthy", {0}), ("pneumonia", {1}), ("covid19", {4, 6})])
def test_opacities_are_those_of_the_class(label: str, n_boxes: set[int]) -> None:
    drawn = [phantom.draw(1, label, f"p{i}", 0, 96)[1] for i in range(12)]
    assert {len(boxes) for boxes in drawn} == n_boxes


@pytest.mark.parametrize("label", ["pneumonia", "covid19"])
def test_boxes_hold_what_is_brighter_than_the_healthy_lung(label: str) -> None:
    for i in range(5):
        pixels, boxes = phantom.draw(1, label, f"p{i}", 0, 96)
        healthy, _ = phantom.draw(1, "healthy", f"p{i}", 0, 96)
        for box in boxes:
            left, top, right, bottom = (round(edge * 96) for edge in box)
            assert 0 <= left < right <= 96
            assert 0 <= top < bottom <= 96
            there = np.s_[top:bottom, left:right]
            assert pixels[there].mean() > healthy[there].mean() + 10


def test_records_can_be_read_and_decoded() -> None:
    records = phantom.records(PATIENTS, 2, 64, seed=4).records
    assert {record.label for record in records} == set(CLASSES)
    assert decode(records[0].read(), 64, Aspect.STRETCH).facts.width_px == 96


def test_patients_do_not_look_like_one_another() -> None:
    """Duplicates are left out of a data set: the demo must not consist of them."""
    records = phantom.records({"healthy": 30, "pneumonia": 30, "covid19": 15}, 2, 64, seed=2020).records
    images = [decode(record.read(), 64, Aspect.STRETCH) for record in records]
    stack = np.stack([image.pixels for image in images])
    pairs = near_duplicates([perceptual_hash(pixels) for pixels in stack], lambda positions: stack[positions])
    assert all(records[first].patient_id == records[second].patient_id for first, second in pairs)
