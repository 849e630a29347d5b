"""Which images are explained."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tasks.explain.image_choice import choose
from tasks.runtime.params.checks import read_params
from tests.conftest import PARAMS, PROJECT


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Of 60 images, 20 of each class, every fourth is called healthy."""
    labels = np.repeat(["healthy", "pneumonia", "covid19"], 20)
    predicted = np.where(np.arange(60) % 4 == 0, "healthy", labels)
    probabilities = {f"probability_{label}": np.arange(60) / 100 + i for i, label in enumerate(np.unique(labels))}
    columns = {"stack_row": np.arange(60), "image_id": [f"i{i}" for i in range(60)]}
    columns["patient_group"] = [f"p{i}" for i in range(60)]
    return pd.DataFrame(columns | {"label": labels, "predicted": predicted} | probabilities)


@pytest.fixture
def manifest(predictions: pd.DataFrame) -> pd.DataFrame:
    boxes = [None if label == "healthy" else [np.array([0.1, 0.2, 0.3, 0.4])] for label in predictions["label"]]
    return pd.DataFrame({"opacity_boxes": pd.Series(boxes, dtype=object)})


def test_images_of_each_class_come_first_and_then_those_that_can_point(
    predictions: pd.DataFrame, manifest: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    params = read_params(PARAMS).explain
    chosen = choose(predictions, manifest, params, seed=1)
    n = params.images_per_class
    assert chosen["label"][: 3 * n].tolist() == ["healthy"] * n + ["pneumonia"] * n + ["covid19"] * n
    boxed = chosen[3 * n :]
    assert len(boxed) == params.boxed_images
    assert (boxed["opacity_boxes"].map(len) == 1).all()
    assert (boxed["predicted"] == boxed["label"]).all()
    assert chosen["image_id"].is_unique
    assert [row[f"probability_{row['explained']}"] for _, row in chosen.iterrows()] == chosen["probability"].tolist()
    assert not chosen.equals(choose(predictions, manifest, params, seed=2))
    kept = predictions[predictions["image_id"].isin(chosen["image_id"])]
    assert set(choose(kept, manifest, params, seed=1)["image_id"]) == set(chosen["image_id"])


def test_a_patient_has_one_image_as_long_as_there_are_others(
    predictions: pd.DataFrame, manifest: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    params = replace(read_params(PARAMS).explain, images_per_class=6, boxed_images=0)
    clustered = predictions.assign(patient_group=[f"p{i // 4}" for i in range(60)])  # five of each class
    for seed in range(5):
        chosen = choose(clustered, manifest, params, seed)
        for label in ("healthy", "pneumonia", "covid19"):
            patients = chosen.loc[chosen["label"] == label, "patient_group"]
            assert patients.head(5).is_unique
            assert len(patients) == 6
