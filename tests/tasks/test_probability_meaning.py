"""The sentence on what a probability means."""

from dataclasses import replace

from tasks.inference.output.probability_meaning import meaning_of
from tests.tasks.trained_model import untrained_model

CALIBRATION = untrained_model().calibration
ROW = {"predicted": "covid19", "calibrated_covid19": 0.372, "out_of_distribution": False}


def test_it_says_how_often_the_class_is_right_and_on_which_images_that_is_known() -> None:
    many = replace(CALIBRATION, images=dict.fromkeys(CALIBRATION.images, 50))
    assert meaning_of(ROW, many) == (
        "Of 100 images with this probability, about 37 are COVID-19, provided they resemble the 150 validation images. "
        "There, probabilities were off by 10 percentage points on average."
    )


def test_few_images_and_an_unlike_one_are_named() -> None:
    said = meaning_of(ROW | {"out_of_distribution": True}, CALIBRATION)
    assert "resemble the 9 validation images" in said
    assert said.endswith(
        "With so few images, the probability itself is uncertain. This image does not resemble them, so its "
        "probability may be wrong."
    )


def test_near_certainty_is_no_hundred_in_a_hundred() -> None:
    assert "more than 99 are COVID-19" in meaning_of(ROW | {"calibrated_covid19": 0.9999}, CALIBRATION)
