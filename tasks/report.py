"""Stage `report`: all reports in; one self-contained HTML page and the model card out."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from coronet_core.classes import CLASSES, DISPLAY_NAMES
from coronet_core.data.manifest import read_manifest
from coronet_core.models.tfen import residual_tensor
from coronet_core.shards import Shards, as_image
from tasks import figures
from tasks.files import write_text
from tasks.paper import PAPER
from tasks.params import Params
from tasks.paths import (
    CIN_HISTORY,
    EXPLANATION_INDEX,
    EXPLANATION_MAPS,
    IMAGES,
    MANIFEST,
    METRICS,
    MODEL_CARD,
    REPORT,
    SPLIT_REPORT,
    autoencoder_history,
    roc_plot,
)
from tasks.progress import say
from tasks.stage import StageContext
from tasks.tfen import load_tfen
from tasks.tracking import code_version, flattened


def run(context: StageContext) -> None:
    """Draw the figures and fill the templates."""
    metrics = json.loads(METRICS.read_text(encoding="utf-8"))
    content = {
        "classes": CLASSES,
        "names": DISPLAY_NAMES,
        "paper": PAPER,
        "metrics": metrics,
        "split": json.loads(SPLIT_REPORT.read_text(encoding="utf-8")),
        "confidence": context.params.evaluate.confidence,
        "auc_of": context.params.evaluate.auc_of,
        "figures": _figures(metrics, context.params),
        "params": flattened(asdict(context.params)),
        "code": code_version(),
    }
    templates = Environment(
        loader=PackageLoader("tasks"), autoescape=select_autoescape(), undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters["percent"] = percent
    templates.filters["area"] = area
    templates.filters["percents"] = lambda interval: f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}"
    write_text(REPORT, templates.get_template("report.html.j2").render(content))
    write_text(MODEL_CARD, templates.get_template("model_card.md.j2").render(content))
    for path in (REPORT, MODEL_CARD):
        context.tracking.artifact(path)
    say(f"report: {REPORT}")


def percent(share: float | None) -> str:
    """Return a share as the tables print it, with two decimals; a dash where it is undefined."""
    return "–" if share is None else f"{100 * share:.2f}"


def area(value: float | None) -> str:
    """Return an area under a curve with three decimals; a dash where it is undefined."""
    return "–" if value is None else f"{value:.3f}"


def _figures(metrics: dict[str, Any], params: Params) -> dict[str, figures.Drawing]:
    histories = {
        "AE_H": (pd.read_csv(autoencoder_history("healthy")), params.autoencoder.best_by),
        "AE_P": (pd.read_csv(autoencoder_history("pneumonia")), params.autoencoder.best_by),
        "CIN": (pd.read_csv(CIN_HISTORY), params.cin.best_by),
    }
    curves = {label: pd.read_csv(roc_plot(label)) for label in CLASSES}
    return {
        "training": figures.training_curves(histories),
        "confusion": figures.confusion(np.array(metrics["confusion_matrix"])),
        "roc": figures.roc_curves(curves),
        "reconstructions": _reconstructions(),
        "attribution": _attribution(),
    }


@torch.inference_mode()
def _reconstructions() -> figures.Drawing:
    manifest = read_manifest(MANIFEST)
    test = manifest[manifest["split"] == "test"]
    shown = [label for label in CLASSES if (test["label"] == label).any()]
    rows = np.array([test.index[test["label"] == label][0] for label in shown], dtype=np.int64)
    image = as_image(torch.from_numpy(Shards.in_folder(IMAGES).take(rows)))  # (classes, 1, H, W)
    tfen = load_tfen(torch.device("cpu"))
    healthy, pneumonia = tfen.healthy(image).reconstruction, tfen.pneumonia(image).reconstruction
    stacked = torch.cat([image, healthy, pneumonia], dim=1).numpy()  # (3 classes, 3 pictures, H, W)
    return figures.reconstructions(shown, stacked, residual_tensor(image, healthy, pneumonia).numpy())


def _attribution() -> figures.Drawing:
    index = pd.read_parquet(EXPLANATION_INDEX)
    rows = index["stack_row"].to_numpy(dtype=np.int64)
    images = Shards.in_folder(IMAGES).take(rows)
    return figures.attribution_maps(images, np.load(EXPLANATION_MAPS), index)
