"""The figures of the report, drawn from what the stages before it have made."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from coronet_core.classes import CLASSES
from coronet_core.data.manifest import read_manifest
from coronet_core.models.tfen import residual_tensor
from coronet_core.shards import Shards, as_image
from tasks.figures.attribution import attribution_maps
from tasks.figures.drawing import Drawing
from tasks.figures.residuals import reconstructions
from tasks.figures.results import confusion, roc_curves
from tasks.figures.training import training_curves
from tasks.params import Params
from tasks.paths import (
    CIN_HISTORY,
    EXPLANATION_INDEX,
    EXPLANATION_MAPS,
    IMAGES,
    MANIFEST,
    autoencoder_history,
    roc_plot,
)
from tasks.tfen import load_tfen


def report_figures(metrics: dict[str, Any], params: Params) -> dict[str, Drawing]:
    """Return every figure of the report by its name, which is also the name of its file."""
    return {
        **_training(params),
        "reconstructions": _reconstructions(),
        "confusion": confusion(np.array(metrics["confusion_matrix"])),
        "roc": roc_curves({label: pd.read_csv(roc_plot(label)) for label in CLASSES}, metrics["roc_auc"]),
        "attribution": _attribution(),
    }


def _training(params: Params) -> dict[str, Drawing]:
    networks = {
        "AE_H": (autoencoder_history("healthy"), params.autoencoder.best_by),
        "AE_P": (autoencoder_history("pneumonia"), params.autoencoder.best_by),
        "CIN": (CIN_HISTORY, params.cin.best_by),
    }
    return {
        f"training_{name}": training_curves(name, pd.read_csv(history), best_by)
        for name, (history, best_by) in networks.items()
    }


@torch.inference_mode()
def _reconstructions() -> Drawing:
    """Draw the first test image of each class; there is one of each, or the split would have been refused."""
    manifest = read_manifest(MANIFEST)
    test = manifest[manifest["split"] == "test"]
    rows = np.array([test.index[test["label"] == label][0] for label in CLASSES], dtype=np.int64)
    image = as_image(torch.from_numpy(Shards.in_folder(IMAGES).take(rows)))  # (3, 1, H, W)
    tfen = load_tfen(torch.device("cpu"))
    healthy, pneumonia = tfen.healthy(image).reconstruction, tfen.pneumonia(image).reconstruction
    stacked = torch.cat([image, healthy, pneumonia], dim=1).numpy()  # (3 classes, 3 pictures, H, W)
    return reconstructions(stacked, residual_tensor(image, healthy, pneumonia).numpy())
