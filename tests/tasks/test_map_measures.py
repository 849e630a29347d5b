"""The table by method, by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from coronet_core.attribution.deletion_and_insertion import Curves
from coronet_core.metrics import wilson_interval
from tasks.explain.measures import mean_with_interval, repeated_and_random, table_by_method
from tasks.runtime.params.explain import MeasureParams

PARAMS = MeasureParams(
    deletion_steps=2,
    null_blur_radius_px=1.0,
    border_fraction=0.125,
    pointing_tolerance_px=0.0,
    repeat_seeds=1,
    randomisation_images=1,
    confidence=0.95,
)
CHOSEN = pd.DataFrame(
    {
        "label": ["pneumonia", "pneumonia", "pneumonia", "healthy"],
        "predicted": ["pneumonia", "pneumonia", "healthy", "healthy"],
        "opacity_boxes": [[[0.0, 0.0, 0.5, 0.5]], [[0.5, 0.5, 1.0, 1.0]], [[0.0, 0.0, 0.5, 0.5]], []],
    }
)


def curves(level: float) -> Curves:
    return Curves(torch.full((4, 3), level), torch.full((4, 3), 1 - level))


def peak_at(row: int, column: int) -> torch.Tensor:
    maps = torch.zeros(4, 1, 8, 8)
    maps[..., row, column] = 1
    return maps


def test_measures_by_hand() -> None:
    maps = {"perturbation": peak_at(2, 2), "random": peak_at(0, 7), "centre": torch.zeros(4, 1, 8, 8)}
    table = table_by_method(
        CHOSEN, maps, {"perturbation": curves(0.25), "random": curves(0.5), "centre": curves(0.75)}, PARAMS
    )
    ours, random, centre = table["perturbation"], table["random"], table["centre"]
    assert (ours["deletion_auc"], ours["insertion_auc"]) == (0.25, 0.75)
    assert (ours["deletion_vs_random"], ours["deletion_vs_random_interval"]) == (-0.25, [-0.25, -0.25])
    assert (ours["insertion_vs_centre"], random["insertion_vs_random"]) == (0.5, None)
    assert (ours["border_mass"], random["border_mass"], ours["border_area"]) == (0.0, 1.0, 28 / 64)
    assert (ours["pointing_images"], ours["pointing_accuracy"]) == (2, 0.5)  # the third was not recognised
    assert ours["pointing_accuracy_interval"] == wilson_interval(1, 2, 0.95)
    assert (ours["mass_in_boxes"], ours["box_area"]) == (0.5, 0.25)
    assert (centre["blank_maps"], centre["border_mass"], centre["mass_in_boxes"]) == (4, None, None)
    json.dumps(table, allow_nan=False)


def test_without_boxes_there_is_no_pointing_game() -> None:
    chosen = CHOSEN.assign(opacity_boxes=[[], [], [], []])
    maps = {name: peak_at(1, 1) for name in ("random", "centre")}
    table = table_by_method(chosen, maps, {name: curves(0.5) for name in maps}, PARAMS)
    assert table["random"]["pointing_images"] == 0
    assert table["random"]["pointing_accuracy"] is None
    assert table["random"]["mass_in_boxes_interval"] is None


def test_the_interval_is_students() -> None:
    found = mean_with_interval("x", np.array([1.0, 2.0, 3.0, np.nan]), 0.95)
    assert found["x"] == 2.0
    assert found["x_interval"] == pytest.approx([2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5])
    assert mean_with_interval("x", np.array([5.0]), 0.95) == {"x": 5.0, "x_interval": None}


def test_repeatability_belongs_to_the_perturbation_and_randomisation_to_every_method() -> None:
    repeated, random = torch.tensor([0.8, 0.6]), {"grad_cam": {"cin.fc": torch.tensor([0.2, torch.nan])}}
    ours, theirs = (repeated_and_random(name, repeated, random, 0.95) for name in ("perturbation", "grad_cam"))
    assert (ours["repeatability"], ours["randomisation"]) == (pytest.approx(0.7), None)
    assert (theirs["repeatability"], theirs["randomisation"]) == (None, {"cin.fc": pytest.approx(0.2)})
