"""`reports/predictions.parquet`: one row per test image with its prediction."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from coronet_core.common.classes import CLASSES
from tasks.calibrate.calibration_file import Calibration
from tasks.calibrate.predictions import prediction_rows
from tasks.calibrate.split_predictions import DISAGREEMENT, SplitPredictions
from tasks.networks.residual_index import class_indices

DESCRIBED_BY = ["image_id", "patient_id", "patient_group", "label", "source", "view", "sex", "age"]


def prediction_table(test: SplitPredictions, calibration: Calibration) -> pd.DataFrame:
    """Return the table; `stack_row` is the image's position in the stacks of images and residuals."""
    table = test.images[DESCRIBED_BY].reset_index(names="stack_row")
    rows = prediction_rows(test.logits, test.energies, calibration)
    return table.join(rows.assign(**{DISAGREEMENT: test.images[DISAGREEMENT].to_numpy()}))


def read_predictions(file: Path | BinaryIO) -> SplitPredictions:
    """Read the predictions of a run; they do not include residual energies."""
    return _predictions_of(pd.read_parquet(file))


def pooled_predictions(paths: Sequence[Path]) -> SplitPredictions:
    """Read the predictions of several runs as one table."""
    return _predictions_of(pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True))


def _predictions_of(table: pd.DataFrame) -> SplitPredictions:
    logits = table[[f"logit_{label}" for label in CLASSES]].to_numpy(np.float64)
    return SplitPredictions(images=table, truth=class_indices(table), logits=logits)
