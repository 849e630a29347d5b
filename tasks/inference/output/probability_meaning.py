"""The sentence that says what a probability means."""

from typing import Any, Final

from coronet_core.common.classes import DISPLAY_NAMES
from coronet_core.support.plurals import counted
from tasks.calibrate.calibration_file import Calibration

FEW_IMAGES: Final = 100


def meaning_of(row: dict[str, Any], calibration: Calibration) -> str:
    """Return what the largest calibrated probability of `row` promises, and from how many images that is known.

    Calibration is the promise that of the images with a value of p, a share of p is told right. How far it was from
    kept, on the validation images that it was made from, is the expected calibration error.
    """
    label = row["predicted"]
    likely = f"{100 * row[f'calibrated_{label}']:.0f}"
    share = "more than 99" if likely == "100" else f"about {likely}"
    images = sum(calibration.images.values())
    gap = 100 * calibration.after.ece
    meaning = (
        f"Of 100 images with this probability, {share} are {DISPLAY_NAMES[label]}, provided they resemble the "
        f"{counted(images, 'validation image')}. There, probabilities were off by "
        f"{counted(round(gap), 'percentage point')} on average."
    )
    if images < FEW_IMAGES:
        meaning += " With so few images, the probability itself is uncertain."
    if row["out_of_distribution"]:
        meaning += " This image does not resemble them, so its probability may be wrong."
    return meaning
