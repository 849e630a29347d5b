"""The example: an image that shows no patient, made when it is asked for."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from tests.serving.served import problem, running


def drawn(client: httpx.Client, **params: str) -> np.ndarray:
    response = client.get("/example", params=params)
    assert response.headers["content-type"] == "image/png", response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_each_class_has_a_grey_image_of_its_own_that_the_service_can_read(client: httpx.Client) -> None:
    images = {label: drawn(client, label=label) for label in CLASSES}
    assert {image.shape for image in images.values()} == {(512, 512)}
    assert len({image.tobytes() for image in images.values()}) == len(CLASSES)
    np.testing.assert_array_equal(drawn(client), images["pneumonia"])
    sent = {"files": ("example.png", client.get("/example").content)}
    assert client.post("/predict", files=sent).json()["answers"][0]["error"] is None


@pytest.mark.parametrize("label", ["", "lupus", "../covid19"])
def test_other_classes_are_refused(client: httpx.Client, label: str) -> None:
    assert "label" in problem(client.get("/example", params={"label": label}), 422)


def test_a_service_with_keys_asks_for_one() -> None:
    with running(keys=("k" * 16,)) as address:
        problem(httpx.get(f"{address}/example"), 401)
