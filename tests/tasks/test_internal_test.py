"""Figures on images from elsewhere beside those of the model's own test split."""

from typing import Any

import numpy as np
import pytest

from coronet_core.metrics.bootstrap import bootstrap
from coronet_core.metrics.scores import figures_of
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.calibrate.stage import calibrated
from tasks.evaluate.all_figures import all_figures
from tasks.external_validation.internal_test import (
    NO_PREDICTIONS,
    NOT_FOUND,
    InternalTest,
    conclusions,
    figures_beside,
    notes_on,
)
from tasks.runtime.files import nulls_for_nan
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import EvaluateParams
from tests.conftest import PARAMS
from tests.tasks.predictions import predictions

VALIDATION = predictions(60, 60, 20)
GOOD, AGAIN, POOR = predictions(60, 50, 20, seed=1), predictions(60, 50, 20, seed=2), predictions(60, 50, 20, edge=0.3)


@pytest.fixture(scope="module")
def params() -> EvaluateParams:
    return read_params(PARAMS).evaluate


def metrics(of: SplitPredictions, params: EvaluateParams) -> dict[str, Any]:
    calibration = calibrated(VALIDATION, read_params(PARAMS).calibrate)
    found: dict[str, Any] = nulls_for_nan(all_figures(of, calibration, params, 1))
    return found


def beside(
    external: SplitPredictions, internal: SplitPredictions | None, params: EvaluateParams, *, predicted: bool = True
) -> dict[str, dict[str, Any]]:
    recorded = None
    if internal is not None:
        recorded = InternalTest(metrics=metrics(internal, params), predictions=internal if predicted else None)
    return figures_beside(metrics(external, params), external, recorded, params, 1)


def test_a_model_that_does_worse_is_said_to(params: EvaluateParams) -> None:
    found = beside(POOR, GOOD, params)
    for name in ("accuracy", "balanced_accuracy", "roc_auc.macro", "sensitivity.healthy", "specificity.healthy"):
        assert found[name]["difference"] == pytest.approx(found[name]["external"] - found[name]["internal"])
        low, high = found[name]["interval"]
        assert low < found[name]["difference"] < high < 0, name
    assert all("is lower here" in sentence for sentence in conclusions(found))


def test_a_difference_by_chance_is_said_to_be_one(params: EvaluateParams) -> None:
    assert all("may be due to chance" in sentence for sentence in conclusions(beside(AGAIN, GOOD, params)))


def test_no_error_in_both_sets_is_not_called_certain(params: EvaluateParams) -> None:
    found = beside(predictions(60, 50, 20, edge=50), predictions(60, 50, 20, seed=1, edge=50), params)
    assert (found["accuracy"]["difference"], found["accuracy"]["interval"]) == (0, None)


def test_both_sets_are_drawn_on_their_own(params: EvaluateParams) -> None:
    """The variance of the difference is that of both, not less, as for the same images."""
    low, high = beside(GOOD, GOOD, params)["accuracy"]["interval"]
    figures = figures_of(GOOD.truth, GOOD.predicted, GOOD.probabilities())
    alone = bootstrap(figures, GOOD.groups, params.bootstrap_replicates, 5)["accuracy"]
    width = np.quantile(alone, 0.975) - np.quantile(alone, 0.025)
    assert (high - low) / width == pytest.approx(np.sqrt(2), rel=0.15)


def test_figures_are_those_of_the_report_with_their_intervals(params: EvaluateParams) -> None:
    found, expected = beside(GOOD, POOR, params), metrics(GOOD, params)
    assert found["accuracy"]["external_interval"] == expected["accuracy_interval"]
    assert found["specificity.covid19"]["external"] == expected["specificity"]["covid19"]
    assert found["specificity.covid19"]["external_interval"] == expected["specificity_interval"]["covid19"]
    assert found["roc_auc.macro"]["external_interval"] == expected["intervals"]["roc_auc"]["macro"]
    assert found["balanced_accuracy"]["external_interval"] == expected["intervals"]["balanced_accuracy"]
    assert found["calibration.after.ece"]["external"] == expected["calibration"]["after"]["ece"]
    assert found["out_of_distribution.all"]["external"] == expected["out_of_distribution"]["all"]["share"]
    assert found["sensitivity.covid19"]["title"] == "Sensitivity, COVID-19"


def test_without_the_internal_predictions_there_are_no_intervals(params: EvaluateParams) -> None:
    found = beside(POOR, GOOD, params, predicted=False)
    assert {one["interval"] for one in found.values()} == {None}
    assert found["accuracy"]["difference"] < 0
    assert "no interval of the difference" in conclusions(found)[0]
    assert notes_on(InternalTest(metrics={}, predictions=None)) == [NO_PREDICTIONS]


def test_figures_that_an_earlier_version_did_not_report_are_left_out(params: EvaluateParams) -> None:
    former = {name: value for name, value in metrics(GOOD, params).items() if name != "out_of_distribution"}
    internal = InternalTest(metrics=former, predictions=GOOD)
    found = figures_beside(metrics(AGAIN, params), AGAIN, internal, params, 1)
    assert found["out_of_distribution.all"]["external"] is not None
    assert found["out_of_distribution.all"]["internal"] is found["out_of_distribution.all"]["difference"] is None


def test_without_the_internal_test_the_figures_stand_alone(params: EvaluateParams) -> None:
    found = beside(GOOD, None, params)
    assert {one["internal"] for one in found.values()} == {one["difference"] for one in found.values()} == {None}
    assert found["accuracy"]["external"] > 0.5
    assert notes_on(None) == [NOT_FOUND]


def test_a_class_that_is_missing_cannot_be_compared(params: EvaluateParams) -> None:
    found = beside(predictions(60, 50, 0, seed=3), GOOD, params)
    assert found["sensitivity.covid19"]["difference"] is None
    assert found["sensitivity.covid19"]["interval"] is None
    assert found["sensitivity.healthy"]["interval"] is not None
    for mean in ("balanced_accuracy", "roc_auc.macro"):
        assert found[mean]["external"] > 0.5
        assert (found[mean]["difference"], found[mean]["interval"]) == (None, None)
    assert conclusions(found)[0] == (
        "Balanced accuracy cannot be compared: the internal test images are of other classes."
    )
