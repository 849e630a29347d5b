"""Which test images the report shows one by one: the most confident errors, and the least certain of the others."""

import pandas as pd
import pytest

from tasks.explain import gallery_choice
from tasks.explain.gallery_choice import choose_for_gallery, least_certain, most_confident_errors

ROWS = [  # image, label, predicted, calibrated probability of the predicted class
    ("a", "healthy", "healthy", 0.9),
    ("b", "healthy", "healthy", 0.4),
    ("c", "healthy", "covid19", 0.6),
    ("d", "healthy", "covid19", 0.99),
    ("e", "covid19", "covid19", 0.4),
]


@pytest.fixture
def predictions() -> pd.DataFrame:
    table = pd.DataFrame(ROWS, columns=["image_id", "label", "predicted", "confidence"])
    for label in ("healthy", "pneumonia", "covid19"):
        table[f"calibrated_{label}"] = table["confidence"].where(table["predicted"] == label, 0.005)
    return table.drop(columns="confidence")


def ids(rows: pd.DataFrame) -> str:
    return "".join(rows["image_id"])


def test_errors_begin_with_the_most_confident_one(predictions: pd.DataFrame) -> None:
    assert ids(most_confident_errors(predictions)) == "dc"


def test_uncertain_images_begin_with_the_lowest_probability(predictions: pd.DataFrame) -> None:
    assert ids(least_certain(predictions.iloc[::-1])) == "becad"


@pytest.mark.parametrize(("room", "errors", "uncertain"), [(1, "d", "b"), (2, "dc", "be"), (12, "dc", "bea")])
def test_the_gallery_shows_the_worst_errors_and_the_least_certain_of_the_others(
    predictions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, room: int, errors: str, uncertain: str
) -> None:
    monkeypatch.setattr(gallery_choice, "MAX_SHOWN", room)
    chosen = choose_for_gallery(predictions)
    assert ids(chosen) == errors + uncertain
    assert ids(chosen[chosen["kind"] == "error"]) == errors
    assert chosen["explained"].tolist() == chosen["predicted"].tolist()


def test_an_error_beyond_the_room_for_errors_may_be_among_the_uncertain(
    predictions: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_choice, "MAX_SHOWN", 1)
    chosen = choose_for_gallery(predictions[predictions["image_id"].isin(["a", "c", "d"])])
    assert ids(chosen) == "dc"
    assert chosen["kind"].tolist() == ["error", "uncertain"]


def test_without_errors_there_are_uncertain_images(predictions: pd.DataFrame) -> None:
    right = predictions[predictions["label"] == predictions["predicted"]]
    assert choose_for_gallery(right)["kind"].tolist() == ["uncertain"] * 3
