"""Quantitative evaluation of attribution maps: one table by method, from maps and curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit  # Student's quantiles; scipy.stats, which has them too, takes half a second to load
from torch import Tensor

from coronet_core.attribution.deletion_and_insertion import Curves, area
from coronet_core.attribution.salience_in_regions import box_mask, frame, mass_within, points_into
from coronet_core.metrics.intervals import wilson_interval
from tasks.explain.image_choice import can_point
from tasks.explain.methods import CONTROLS
from tasks.runtime.params.explain import MeasureParams

Values = NDArray[np.float64]


def table_by_method(
    chosen: pd.DataFrame, maps: Mapping[str, Tensor], curves: Mapping[str, Curves], params: MeasureParams
) -> dict[str, dict[str, Any]]:
    """Return the measures of each method's maps (n, 1, H, W) of the images `chosen`; null where undefined."""
    return {
        method: {
            "blank_maps": int((salience.amax((1, 2, 3)) == 0).sum()),
            **_curve_measures(method, curves, params.confidence),
            **_border_measures(salience, params),
            **_box_measures(salience, chosen, params),
        }
        for method, salience in maps.items()
    }


def repeated_and_random(
    method: str, repeated: Tensor, random: Mapping[str, Mapping[str, Tensor]], confidence: float
) -> dict[str, Any]:
    """Return the similarity of a method's maps to those with other seeds, (n,), and with random weights, (k,) by level.

    `repeated` belongs to the perturbation: the other methods have no random numbers.
    """
    alike = _numbers(repeated) if method == "perturbation" else np.array([])
    levels = {level: _numbers(values) for level, values in random.get(method, {}).items()}
    return {
        **mean_with_interval("repeatability", alike, confidence),
        "randomisation": {
            level: mean_with_interval("mean", values, confidence)["mean"] for level, values in levels.items()
        }
        or None,
    }


def _curve_measures(method: str, curves: Mapping[str, Curves], confidence: float) -> dict[str, Any]:
    """Areas under the curves, and their paired differences to the baseline maps."""
    measures: dict[str, Any] = {}
    for name in Curves._fields:
        areas = {other: _numbers(area(getattr(curves[other], name))) for other in (method, *CONTROLS)}
        measures |= mean_with_interval(f"{name}_auc", areas[method], confidence)
        for control in CONTROLS:
            above = areas[method] - areas[control] if method != control else np.array([])
            measures |= mean_with_interval(f"{name}_vs_{control}", above, confidence)
    return measures


def _border_measures(salience: Tensor, params: MeasureParams) -> dict[str, Any]:
    height, width = salience.shape[-2:]
    outer = frame(height, width, params.border_fraction)
    mass = _numbers(mass_within(salience, outer))
    return mean_with_interval("border_mass", mass, params.confidence) | {"border_area": float(outer.float().mean())}


def _box_measures(salience: Tensor, chosen: pd.DataFrame, params: MeasureParams) -> dict[str, Any]:
    """The pointing game and the salience within boxes, on images with boxes that were classified correctly."""
    pointing = np.flatnonzero(can_point(chosen))
    salience = salience[pointing]
    height, width = salience.shape[-2:]
    hits, within, areas = 0, np.array([]), np.array([])
    if len(pointing) > 0:
        boxes = [chosen["opacity_boxes"][row] for row in pointing]
        wide = torch.stack([box_mask(those, height, width, params.pointing_tolerance_px) for those in boxes])[:, None]
        exact = torch.stack([box_mask(those, height, width) for those in boxes])[:, None]
        hits = int(points_into(salience, wide).sum())
        within, areas = _numbers(mass_within(salience, exact)), _numbers(exact.float().mean((1, 2, 3)))
    n = len(pointing)
    return {
        "pointing_accuracy": hits / n if n else None,
        "pointing_accuracy_interval": wilson_interval(hits, n, params.confidence) if n else None,
        "pointing_images": n,
        **mean_with_interval("mass_in_boxes", within, params.confidence),
        "box_area": float(areas.mean()) if n else None,
    }


def mean_with_interval(name: str, values: Values, confidence: float) -> dict[str, Any]:
    """Return the mean of `values` and its Student interval under `name`; NaN (a blank map) is ignored."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return {name: None, f"{name}_interval": None}
    mean, interval = float(values.mean()), None
    if len(values) > 1:
        reach = stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / np.sqrt(len(values))
        interval = [mean - float(reach), mean + float(reach)]
    return {name: mean, f"{name}_interval": interval}


def _numbers(values: Tensor) -> Values:
    return values.double().numpy()
