"""What the service says of images."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from coronet_core.common.classes import CLASSES
from serving.explanations import METHODS
from tasks.inference.input.image_file import FileContent
from tasks.inference.predictor import predict_files
from tasks.inference.seen_area import seen_area
from tests.serving.served import Aspect, chest, dicom, encoded, png, running, served_model, trained_model


def form(*contents: bytes, name: str = "chest.png") -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (name, content)) for content in contents]


def picture(response: httpx.Response) -> np.ndarray:
    assert response.headers["content-type"] == "image/png", response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


@pytest.mark.parametrize("content", [png(), dicom(), encoded(chest(), "JPEG"), encoded(chest(), "TIFF")])
def test_files_of_every_kind_get_the_answer_of_coronet_predict(client: httpx.Client, content: bytes) -> None:
    (answer,) = client.post("/predict", files=form(content)).json()["answers"]
    expected = predict_files([FileContent("x", content)], trained_model(), torch.device("cpu")).to_pylist()[0]
    assert answer["predicted"] == expected["predicted"]
    assert answer["prediction_set"] == expected["prediction_set"]
    for label in CLASSES:
        assert answer["probabilities"][label] == pytest.approx(expected[f"calibrated_{label}"], rel=1e-5)
    assert answer["ood_score"] == pytest.approx(expected["ood_score"], rel=1e-4)


def test_json_gets_the_answer_that_a_form_gets(client: httpx.Client) -> None:
    body = {"images": [{"name": "chest.png", "content": base64.b64encode(png()).decode()}]}
    by_json, by_form = client.post("/predict", json=body).json(), client.post("/predict", files=form(png())).json()
    assert by_json["answers"][0]["sha256"] == by_form["answers"][0]["sha256"]
    assert by_json["answers"][0]["probabilities"] == pytest.approx(by_form["answers"][0]["probabilities"], rel=1e-5)


def test_images_asked_for_together_get_the_answers_that_they_get_alone(client: httpx.Client) -> None:
    contents = [png(number) for number in range(8)]

    def ask(content: bytes) -> Any:
        return client.post("/predict", files=form(content)).json()["answers"][0]["uncalibrated"]

    alone = [ask(content) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, contents))
    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    assert 'coronet_batch_images_bucket{le="1.0"}' in client.get("/metrics").text


def test_a_bad_file_is_told_and_the_others_are_answered(client: httpx.Client) -> None:
    response = client.post("/predict", files=form(png(), b"no image", dicom()))
    assert response.status_code == 200
    first, second, third = response.json()["answers"]
    assert second["error"] == "not an image"
    assert second["predicted"] is None
    assert first["error"] is third["error"] is None


def test_if_no_file_can_be_read_the_request_fails_with_every_reason(client: httpx.Client) -> None:
    response = client.post("/predict", files=form(b"", encoded(Image.new("L", (64, 64)))))
    assert response.status_code == 422
    assert [one["error"] for one in response.json()["files"]] == ["empty file", "zero variance (a single grey level)"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_as_numbers_and_as_a_picture(client: httpx.Client, method: str) -> None:
    numbers = client.post(f"/explain?method={method}&label=covid19", files=form(png())).json()
    drawn = client.post(f"/explain?method={method}&label=covid19&format=png", files=form(png()))
    values = np.array(numbers["values"])
    assert values.shape == picture(drawn).shape == (64, 64)
    assert numbers["label"] == drawn.headers["x-map-label"] == "covid19"
    assert values.max() == pytest.approx(numbers["maximum"], abs=1e-6)
    np.testing.assert_allclose(picture(drawn), 255 * values / max(values.max(), 1e-9), atol=1.5)


def test_without_a_class_the_likeliest_is_explained(client: httpx.Client) -> None:
    predicted = client.post("/predict", files=form(png())).json()["answers"][0]["predicted"]
    assert client.post("/explain", files=form(png())).json()["label"] == predicted


def test_residuals_are_both_autoencoders_and_their_sum(client: httpx.Client) -> None:
    values = np.array(client.post("/residuals", files=form(png())).json()["values"])
    assert values.shape == (3, 64, 64)
    assert (values[2] <= values[0] + values[1] + 1e-2).all()  # |a + b| <= |a| + |b|, in float16
    healthy, pneumonia = (
        picture(client.post(f"/residuals?format=png&of={of}", files=form(png()))) for of in ("healthy", "pneumonia")
    )
    assert (healthy != pneumonia).any()


def test_a_preview_keeps_proportions_and_hides_nothing_of_a_small_image(client: httpx.Client) -> None:
    image = chest(width_px=160, height_px=120)
    shown = picture(client.post("/preview", files=form(encoded(image))))
    np.testing.assert_array_equal(shown, np.asarray(image))


def test_a_preview_of_a_large_jpeg_is_sharper_than_what_the_networks_take(client: httpx.Client) -> None:
    large = encoded(chest().resize((3000, 2400)), "JPEG")
    assert picture(client.post("/preview", files=form(large))).shape == (819, 1024)


@pytest.mark.parametrize(
    ("aspect", "area"),
    [
        (Aspect.STRETCH, (0, 0, 1, 1)),
        (Aspect.CROP, (0.25, 0, 0.75, 1)),
        (Aspect.PAD, (0, -0.5, 1, 1.5)),
    ],
)
def test_a_map_lies_over_what_the_networks_saw(aspect: Aspect, area: tuple[float, ...]) -> None:
    assert seen_area(200, 100, aspect) == pytest.approx(area)


def test_the_meaning_of_a_probability_is_told_with_its_doubts(client: httpx.Client) -> None:
    (answer,) = client.post("/predict", files=form(png())).json()["answers"]
    likely = round(100 * answer["probabilities"][answer["predicted"]])
    assert f"about {likely} are" in answer["meaning"]
    assert "40 validation images" in answer["meaning"]
    assert "off by 7 percentage points on average" in answer["meaning"]
    assert ("may be wrong" in answer["meaning"]) == answer["out_of_distribution"]


def test_whoever_wants_to_log_answers_hears_each_once() -> None:
    heard: list[str] = []
    served = served_model(on_rows=lambda rows: heard.extend(rows["predicted"].to_pylist()))
    with running(served) as address:
        answers = httpx.post(f"{address}/predict", files=form(png(0), b"bad", png(1)), timeout=60).json()["answers"]
    assert heard == [answers[0]["predicted"], answers[2]["predicted"]]
