"""The report's figures where something is missing."""

import numpy as np
import pandas as pd

from tasks import figures
from tasks.report import area


def test_a_class_without_a_roc_is_left_out_of_the_drawing() -> None:
    points = pd.DataFrame({"false_positive_rate": [0.0, 0.0, 1.0], "sensitivity": [0.0, 1.0, 1.0]})
    drawing = figures.roc_curves({"healthy": points, "pneumonia": points, "covid19": points.head(0)})
    assert drawing.alt == "ROC of each class against the rest: Healthy, area 1.000; non-COVID Pneumonia, area 1.000."


def test_reconstructions_of_the_classes_that_have_images() -> None:
    pictures = np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32)
    drawing = figures.reconstructions(["healthy"], pictures, pictures)
    assert drawing.data_uri.startswith("data:image/png;base64,")


def test_an_area_that_does_not_exist_is_a_dash() -> None:
    assert (area(None), area(0.98765)) == ("–", "0.988")
