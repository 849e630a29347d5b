"""What a calibrated probability means, in a sentence for whoever reads images."""

from typing import Any

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.calibrate.calibration_file import Calibration

FEW_IMAGES = 100


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
    told = (
        f"Of 100 images like the {images} validation images that get such a value, {share} are "
        f"{DISPLAY_NAMES[label]}; on those images the values were {gap:.0f} in 100 off on average."
    )
    if images < FEW_IMAGES:
        told += " They are few: the value itself is uncertain."
    if row["out_of_distribution"]:
        told += " This image is unlike them, so the value need not hold for it."
    return told


def facts_of(calibration: Calibration) -> dict[str, Any]:
    """Return what the calibration settles, for `/model`."""
    return {
        "validation_images": {label: calibration.images[label] for label in CLASSES},
        "temperature": calibration.temperature,
        "expected_calibration_error": calibration.after.ece,
        "miscoverage": calibration.miscoverage,
        "sensitivity_floor": calibration.sensitivity_floor,
        "covid19_threshold": calibration.covid19_threshold,
        "out_of_distribution_above": calibration.energies.threshold,
        "warnings": list(calibration.warnings),
    }
