"""How well source, border and file size predict the label."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.common.shards import Shards, write_shard
from coronet_core.data.shortcuts import features, recognisability, shortcut_warnings

LABELS = np.repeat(CLASSES, 40)


@pytest.fixture
def images() -> pd.DataFrame:
    """40 images of each class in random order, a patient each, that differ in nothing but the label."""
    table = pd.DataFrame(
        {
            "label": LABELS,
            "patient_group": [f"p{i}" for i in range(len(LABELS))],
            "source": "one",
            "view": None,
            "size_bytes": 1000,
            "width_px": 64,
            "height_px": 64,
        }
    )
    return table.sample(frac=1, random_state=0, ignore_index=True)


def aucs(images: pd.DataFrame, name: str, stack: Shards | None = None) -> dict[str, float]:
    found = recognisability(features(images, stack)[name], images, seed=1)
    assert found is not None
    return found


def test_a_source_of_its_own_tells_the_class(images: pd.DataFrame) -> None:
    images["source"] = np.where(images["label"] == "pneumonia", "kermany", "one")
    found = aucs(images, "source")
    assert found["pneumonia"] == 1.0
    assert found["healthy"] < 0.8
    (sentence,) = shortcut_warnings({"source": found, "view": None})
    assert sentence.startswith("From the source alone, non-COVID Pneumonia (ROC-AUC 1.00) can be recognised: a network")


def test_all_classes_that_a_shortcut_tells_are_in_one_sentence() -> None:
    found = {"border": {"healthy": 0.79, "pneumonia": 0.9, "covid19": 0.8}, "view": None}
    (sentence,) = shortcut_warnings(found)
    assert "alone, non-COVID Pneumonia (ROC-AUC 0.90) and COVID-19 (ROC-AUC 0.80) can be" in sentence


def test_a_source_that_says_nothing_is_no_shortcut(images: pd.DataFrame) -> None:
    found = {name: aucs(images, name) for name in ("source", "view")}
    assert all(abs(auc - 0.5) < 0.15 for by_class in found.values() for auc in by_class.values())
    assert shortcut_warnings(dict(found)) == []


def test_a_rare_class_with_its_own_source_is_told(images: pd.DataFrame) -> None:
    rare = pd.concat([images[images["label"] != "covid19"]] * 20 + [images[images["label"] == "covid19"].head(12)])
    rare = rare.assign(patient_group=[f"p{i}" for i in range(len(rare))], source=rare["label"].eq("covid19").map(str))
    assert aucs(rare.reset_index(drop=True), "source")["covid19"] > 0.95


def test_the_border_is_seen_and_the_lungs_are_not(images: pd.DataFrame, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 40, (len(images), 64, 64), dtype=np.uint8)
    is_covid19 = (images["label"] == "covid19").to_numpy()
    pixels[is_covid19, :4, 10:30] = 200
    pixels[(images["label"] == "healthy").to_numpy(), 20:40, 20:40] = 200
    write_shard(tmp_path, 0, pixels)
    found = aucs(images, "border", Shards.in_folder(tmp_path))
    assert found["covid19"] == 1.0
    assert found["healthy"] < 0.8


def test_the_file_size_is_seen(images: pd.DataFrame, tmp_path: Path) -> None:
    write_shard(tmp_path, 0, np.zeros((len(images), 64, 64), dtype=np.uint8))
    images["size_bytes"] += np.arange(len(images)) % 7 + 500 * (images["label"] == "healthy")
    assert aucs(images, "file_size", Shards.in_folder(tmp_path))["healthy"] == 1.0


def test_patients_are_kept_apart(images: pd.DataFrame) -> None:
    """A feature that tells the patient and nothing else predicts nothing."""
    images["patient_group"] = [f"p{i % 10}-{label}" for i, label in enumerate(images["label"])]
    seen = pd.factorize(images["patient_group"])[0].astype(float)[:, None]
    order = np.random.default_rng(3).permutation(30)
    found = recognisability(order[seen.astype(int)].astype(float), images, seed=1)
    assert found is not None
    assert max(found.values()) < 0.8


def test_what_is_the_same_for_all_images_is_chance(images: pd.DataFrame) -> None:
    """Pooled over folds of unequal shares, what a classifier without input answers would look better or worse."""
    images = images.head(len(images) - 7).assign(source="one")
    assert aucs(images, "source") == {"healthy": 0.5, "pneumonia": 0.5, "covid19": 0.5}


def test_too_few_patients_are_not_cross_validated(images: pd.DataFrame) -> None:
    images.loc[images["label"] == "covid19", "patient_group"] = "one"
    assert recognisability(features(images, None)["source"], images, seed=1) is None
