"""The test images of the report, one by one: which of too many are listed, and their small pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.support.tables import write_frame
from tasks.report import cases as report_cases
from tasks.report.cases import Case, listed, read_cases
from tasks.report.plots.thumbnails import SIDE_PX, overlaid_map, residual, xray

RIGHT = Case(
    stack_row=0,
    image_id="a",
    projection="PA",
    label="healthy",
    predicted="healthy",
    probability=0.9,
    prediction_set=("healthy",),
    is_abstained=False,
    ood_score=1.0,
    is_out_of_distribution=False,
)
UNSURE = replace(RIGHT, image_id="b", probability=0.4, prediction_set=("healthy", "covid19"), is_abstained=True)
ERROR = replace(RIGHT, image_id="c", predicted="covid19", probability=0.6)
GRAVE_ERROR = replace(ERROR, image_id="d", probability=0.99)
CASES = [RIGHT, UNSURE, ERROR, GRAVE_ERROR]


def ids(cases: list[Case]) -> str:
    return "".join(case.image_id for case in cases)


@pytest.mark.parametrize(("room", "kept"), [(3, "bcd"), (4, "bcda"), (1, "b")])
def test_errors_and_abstentions_are_listed_before_the_others(
    monkeypatch: pytest.MonkeyPatch, room: int, kept: str
) -> None:
    monkeypatch.setattr(report_cases, "MAX_LISTED", room)
    assert ids(listed(CASES)) == kept


def test_an_image_of_unknown_projection_is_one_of_no_projection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {
        "stack_row": [0, 1],
        "image_id": ["a", "b"],
        "patient_id": ["p", "q"],
        "view": ["PA", None],
        "label": ["healthy"] * 2,
        "predicted": ["healthy"] * 2,
        **{f"{scale}_{label}": [1 / 3] * 2 for scale in ("probability", "calibrated") for label in CLASSES},
        "prediction_set": [["healthy"]] * 2,
        "abstained": [False] * 2,
        "ood_score": [0.0] * 2,
    }
    write_frame(pd.DataFrame(images), tmp_path / "predictions.parquet")
    monkeypatch.setattr(report_cases, "PREDICTIONS", tmp_path / "predictions.parquet")
    assert {case.image_id: case.projection for case in read_cases(1.0)} == {"a": "PA", "b": None}


def test_small_pictures_are_small_and_say_what_they_show() -> None:
    image = np.random.default_rng(0).integers(0, 256, (224, 224), dtype=np.uint8)
    channel = image.astype(np.float16) / 255
    made = [
        xray(image, "an X-ray"),
        residual(channel, 0.5, "a residual"),
        overlaid_map(image, channel.astype(np.float32), "a map"),
    ]
    assert [one.side_px for one in made] == [SIDE_PX, SIDE_PX // 2, SIDE_PX // 2]
    assert [one.alt for one in made] == ["an X-ray", "a residual", "a map"]
    assert all(one.data_uri.startswith("data:image/webp;base64,") for one in made)


def test_a_blank_residual_and_a_blank_map_can_be_drawn() -> None:
    image = np.zeros((16, 16), np.uint8)
    residual(np.zeros((16, 16), np.float16), 0.0, "nothing")
    overlaid_map(image, np.zeros((16, 16), np.float32), "nothing")
