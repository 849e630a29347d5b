"""The sentence that says what a probability means."""

from typing import Any, Final

from coronet_core.common.classes import DISPLAY_NAMES
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
        f"Of 100 images with such a value, {share} are {DISPLAY_NAMES[label]}, if they are like the {images} "
        f"validation images; on those, the values were {gap:.0f} in 100 off on average."
    )
    if images < FEW_IMAGES:
        meaning += " These are few images: the value itself is uncertain."
    if row["out_of_distribution"]:
        meaning += " This image is unlike them, so the value may not hold for it."
    return meaning
