"""The prediction for each image, from the CIN's logits, the residual energies and the calibration."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.calibration import probabilities_of
from coronet_core.metrics.conformal import is_abstained, prediction_sets
from coronet_core.metrics.out_of_distribution import ood_score
from tasks.calibrate.calibration_file import Calibration


def prediction_rows(logits: Floats, energies: NDArray[np.float64], calibration: Calibration) -> pd.DataFrame:
    """Return a row per image: class, logits, probabilities, prediction set, abstention, out-of-distribution score.

    `logits` and `energies` are (n, 3). Probabilities are softmax(logits) and, calibrated, softmax(logits / T).
    """
    calibrated = probabilities_of(logits, calibration.temperature)
    numbers = {"logit": logits, "probability": probabilities_of(logits), "calibrated": calibrated}
    sets = prediction_sets(calibrated, calibration.quantile)
    return pd.DataFrame(
        {
            "predicted": [CLASSES[i] for i in logits.argmax(axis=1)],
            **{f"{name}_{label}": values[:, i] for name, values in numbers.items() for i, label in enumerate(CLASSES)},
            "prediction_set": [[label for label, held in zip(CLASSES, row, strict=True) if held] for row in sets],
            "abstained": is_abstained(sets),
            "ood_score": ood_score(energies, calibration.energies),
        }
    )
