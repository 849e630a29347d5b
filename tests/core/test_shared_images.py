"""Images and patients that two data sets have in common."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from coronet_core.data.sources import phantom
from coronet_core.data.splitting.duplicates import perceptual_hash
from coronet_core.data.splitting.shared_images import of_shared_patients, shared_images

Pixels = NDArray[np.uint8]


def chest(patient: int) -> Pixels:
    return phantom.draw(5, "healthy", f"p{patient}", 0, 224)[0]


def rows(pixels: list[Pixels], files: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sha256": files,
            "pixel_sha256": [str(hash(image.tobytes())) for image in pixels],
            "perceptual_hash": [perceptual_hash(image) for image in pixels],
        }
    )


def stacked(*images: Pixels) -> Callable[[NDArray[np.int64]], Pixels]:
    return lambda positions: np.stack(images)[positions]


def darker(image: Pixels) -> Pixels:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(0.7))


def test_files_pixels_and_near_duplicates_are_found_and_others_are_not() -> None:
    known, own = [chest(0), chest(1), chest(2)], [chest(3), chest(0), chest(1), darker(chest(2))]
    found = shared_images(rows(own, ["d", "a", "other", "c"]), rows(known, ["a", "b", "z"]), stacked(*known, *own))
    assert {place: (match.place, match.kind) for place, match in found.items()} == {
        1: (0, "bytes"),
        2: (1, "pixels"),
        3: (2, "near"),
    }


def test_duplicates_within_one_of_the_sets_are_no_matter() -> None:
    known, own = [chest(0), darker(chest(0))], [chest(1), darker(chest(1))]
    assert shared_images(rows(own, ["c", "d"]), rows(known, ["a", "b"]), stacked(*known, *own)) == {}


def test_without_pixels_only_identical_ones_are_found() -> None:
    known, own = [chest(0), chest(1)], [chest(0), darker(chest(1))]
    found = shared_images(rows(own, ["x", "y"]), rows(known, ["a", "b"]), None)
    assert {place: match.kind for place, match in found.items()} == {0: "pixels"}


@pytest.mark.parametrize(
    ("own", "is_shared"),
    [
        (("7", "z7", "table"), True),
        (("dicom-7", "z7", "header"), True),
        (("8", "z8", "table"), False),
        (("own-image", None, "none"), False),
        (("7", "z7", "placeholder"), False),
    ],
)
def test_patients_are_compared_by_ids_that_are_their_own(own: tuple[str, str | None, str], is_shared: bool) -> None:  # noqa: FBT001
    columns = ["patient_id", "patient_id_zeroless", "patient_id_from"]
    known = pd.DataFrame([("7", "z7", "table"), ("own-image", None, "none")], columns=columns)
    assert of_shared_patients(pd.DataFrame([own], columns=columns), known).tolist() == [is_shared]
