"""The figures of the report, drawn from the outputs of the earlier stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from coronet_core.audits.masking import VIEWS, Regions, seen_as
from coronet_core.autoencoder.residual_tensor import residual_tensor
from coronet_core.common.batches import as_image
from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.common.literals import KeptWeights
from coronet_core.common.manifest import read_manifest
from coronet_core.common.shards import Shards, read_array
from coronet_core.support.tables import read_frame
from tasks.networks.trained_tfen import load_autoencoders
from tasks.report.plots.attribution_maps import Explained, attribution_maps, deletion_and_insertion
from tasks.report.plots.classification import confusion, precision_recall_curves, reliability_diagram, roc_curves
from tasks.report.plots.drawing import Drawing
from tasks.report.plots.forest import subgroup_accuracies
from tasks.report.plots.learning_curves import training_curves
from tasks.report.plots.residual_tensors import masked_views, reconstructions
from tasks.runtime.files import read_numbers
from tasks.runtime.params.schema import AuditParams, Params
from tasks.runtime.paths import (
    CIN_HISTORY,
    EXPLANATION_INDEX,
    IMAGES,
    MANIFEST,
    autoencoder_history,
    explanation_maps,
    precision_recall_plot,
    roc_plot,
)

Report = dict[str, Any]
EPOCH_COLUMNS: Final = ("epoch", "training_loss", "validation_loss")
SHOWN_PER_CLASS: Final = 3
"""Images of each class whose maps the report shows; all maps are in the folder of explanations."""


def report_figures(metrics: Report, audit: Report, explanations: Report, params: Params) -> dict[str, Drawing]:
    """Return the figures of the report by name, which is also the name of the file."""
    shown, images = _one_of_each_class()
    return {
        **_training(params),
        "reconstructions": _reconstructions(shown, images),
        "masked_views": _masked_views(shown, images, audit, params.audit),
        "confusion": confusion(np.array(metrics["confusion_matrix"])),
        "roc": roc_curves(_curves(roc_plot, "false_positive_rate", "sensitivity"), metrics["roc_auc"]),
        "precision_recall": precision_recall_curves(
            _curves(precision_recall_plot, "recall", "precision"), metrics["pr_auc"]
        ),
        "reliability": reliability_diagram(metrics["calibration"]),
        "subgroups": subgroup_accuracies(metrics["subgroups"], metrics["accuracy"]),
        "attribution": _attribution(params),
        "deletion_and_insertion": deletion_and_insertion(explanations["curves"], explanations["methods"]),
    }


def _curves(path_of: Callable[[ClassName], Path], *columns: str) -> dict[ClassName, pd.DataFrame]:
    return {label: read_numbers(path_of(label), columns) for label in CLASSES}


def _training(params: Params) -> dict[str, Drawing]:
    networks: dict[str, tuple[Path, str, KeptWeights]] = {
        "AE_H": (autoencoder_history("healthy"), params.autoencoder.best_by, "best"),
        "AE_P": (autoencoder_history("pneumonia"), params.autoencoder.best_by, "best"),
        "CIN": (CIN_HISTORY, params.cin.best_by, params.cin.keep),
    }
    return {
        f"training_{name}": training_curves(name, read_numbers(history, (*EPOCH_COLUMNS, best_by)), best_by, keep)
        for name, (history, best_by, keep) in networks.items()
    }


def _one_of_each_class() -> tuple[list[ClassName], Tensor]:
    """Return the classes of the test split and the first image of each, (classes, 1, H, W) in [0, 1]."""
    manifest = read_manifest(MANIFEST)
    test = manifest[manifest["split"] == "test"]
    shown = [label for label in CLASSES if (test["label"] == label).any()]
    rows = np.array([test.index[test["label"] == label][0] for label in shown], dtype=np.int64)
    return shown, as_image(torch.from_numpy(Shards.in_folder(IMAGES).take(rows)))


@torch.inference_mode()
def _reconstructions(shown: list[ClassName], image: Tensor) -> Drawing:
    tfen = load_autoencoders(torch.device("cpu"))
    healthy, pneumonia = tfen.healthy(image).reconstruction, tfen.pneumonia(image).reconstruction
    stacked = torch.cat([image, healthy, pneumonia], dim=1).numpy()  # (classes, 3 pictures, H, W)
    return reconstructions(shown, stacked, residual_tensor(image, healthy, pneumonia).numpy())


def _masked_views(shown: list[ClassName], image: Tensor, audit: Report, params: AuditParams) -> Drawing:
    left, top, right, bottom = params.lungs_box
    regions = Regions((left, top, right, bottom), params.border_fraction)
    pictures = {view: seen_as(view, image, regions).squeeze(1).numpy() for view in VIEWS}
    scores = {view: audit["views"][view]["network"]["balanced_accuracy"] for view in VIEWS}
    return masked_views(shown, pictures, scores)


def _attribution(params: Params) -> Drawing:
    index = read_frame(EXPLANATION_INDEX)
    index = index[index.groupby("label").cumcount() < SHOWN_PER_CLASS]
    index = index.sort_values("label", key=lambda labels: labels.map(CLASSES.index), kind="stable")
    images = Shards.in_folder(IMAGES).take(index["stack_row"].to_numpy(dtype=np.int64))
    maps: dict[str, NDArray[np.float32]] = {
        method: read_array(explanation_maps(method))[index.index] for method in params.explain.methods
    }
    explained = [
        Explained(row["label"], row["predicted"], row["probability"], [list(box) for box in row["opacity_boxes"]])
        for row in index.to_dict("records")
    ]
    return attribution_maps(images, maps, explained)
