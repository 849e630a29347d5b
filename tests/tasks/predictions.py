"""Predictions to try the stages behind the CIN on, without a network."""

from typing import Any

import numpy as np
import pandas as pd

from coronet_core.common.classes import CLASSES
from tasks.calibrate.split_predictions import DISAGREEMENT, SplitPredictions
from tasks.networks.residual_index import ENERGY_COLUMNS


class Told:
    """Stands for the run that a stage tells of its work."""

    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}
        self.artifacts: list[str] = []

    def metrics(self, values: dict[str, float]) -> None:
        self.numbers |= values

    def artifact(self, path: Any) -> None:
        self.artifacts.append(str(path))


def predictions(healthy: int, pneumonia: int, covid19: int, *, seed: int = 0, edge: float = 2.0) -> SplitPredictions:
    """Images of each class, two a patient; the logit of the truth is `edge` above the others on average."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), [healthy, pneumonia, covid19])
    n = len(truth)
    patients = [f"patient-{i // 2}" for i in range(n)]
    images = pd.DataFrame(
        {
            "image_id": [f"image-{i}" for i in range(n)],
            "patient_id": patients,
            "patient_group": patients,
            "label": [CLASSES[i] for i in truth],
            "source": np.where(np.arange(n) % 3, "rsna", "cohen"),
            "view": [None if i % 4 == 0 else "PA" for i in range(n)],
            "sex": np.where(np.arange(n) % 2, "F", "M"),
            "age": np.where(np.arange(n) % 5, 20.0 + np.arange(n) % 60, np.nan),
        },
        index=np.arange(n) + 7,
    )
    images[ENERGY_COLUMNS] = np.exp(rng.normal(-4, 0.2, (n, 3)))
    images[DISAGREEMENT] = np.nan
    return SplitPredictions(images=images, truth=truth, logits=rng.normal(0, 1, (n, 3)) + edge * np.eye(3)[truth])
