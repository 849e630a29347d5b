"""Stage `calibrate`: what it settles on validation images, and what it says when it cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from coronet_core.metrics.calibration import COLDEST
from coronet_core.support.errors import DataError
from tasks.calibrate import stage as calibrate
from tasks.calibrate.calibration_file import read_calibration
from tasks.calibrate.stage import calibrated, with_scores
from tasks.runtime.params.checks import read_params
from tasks.runtime.stage_context import StageContext
from tests.conftest import PARAMS, PROJECT
from tests.tasks.predictions import Told, predictions


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    monkeypatch.chdir(PROJECT)
    params = read_params(PARAMS)
    monkeypatch.chdir(tmp_path)
    return StageContext(name="calibrate", params=params, tracking=cast("Any", Told()))


def test_the_validation_split_alone_is_read_and_the_file_says_all(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation, asked = predictions(60, 60, 20), []
    monkeypatch.setattr(calibrate, "predict_split", lambda _, split: asked.append(split) or validation)
    calibrate.run(context)
    assert asked == ["validation"]
    settled = calibrated(validation, context.params.calibrate)
    assert read_calibration() == with_scores(settled, validation, context.params.seed)
    assert read_calibration().scores is not None
    assert cast("Told", context.tracking).numbers["temperature"] == read_calibration().temperature


def test_the_scores_that_drift_is_measured_from_are_one_image_a_patient(context: StageContext) -> None:
    validation = predictions(60, 60, 20)
    found = with_scores(calibrated(validation, context.params.calibrate), validation, seed=1).scores
    assert found is not None
    assert found.images == len(set(validation.groups)) == 70
    energies = validation.images.groupby("patient_group", sort=False)["residual_both"].first()
    np.testing.assert_allclose(found.scores["residual_both"], np.sort(energies), rtol=1e-5)


def test_what_is_settled_holds_on_the_validation_images(context: StageContext) -> None:
    validation = predictions(60, 60, 20)
    found = calibrated(validation, context.params.calibrate)
    assert found.images == {"healthy": 60, "pneumonia": 60, "covid19": 20}
    assert found.after.nll <= found.before.nll
    assert found.covid19_threshold is not None
    assert (validation.probabilities()[validation.truth == 2, 2] >= found.covid19_threshold).mean() == 0.9
    missed = 1 - validation.probabilities(found.temperature)[np.arange(140), validation.truth] > found.quantile
    assert missed.mean() == pytest.approx(13 / 140)  # ceil(141 * 0.9) = 127 of 140 are held
    assert found.energies.images == 140
    assert found.warnings == []


def test_the_figures_that_recipes_are_chosen_by_are_those_of_the_validation_images(context: StageContext) -> None:
    validation = predictions(60, 60, 20)
    figures = calibrated(validation, context.params.calibrate).figures
    assert figures is not None
    assert figures.accuracy == pytest.approx((validation.truth == validation.predicted).mean())
    assert figures.balanced_accuracy == pytest.approx(balanced_accuracy_score(validation.truth, validation.predicted))
    area = roc_auc_score(validation.truth, validation.probabilities(), average="macro", multi_class="ovr")
    assert figures.macro_roc_auc == pytest.approx(area)


def test_a_class_without_validation_images_is_said(context: StageContext) -> None:
    found = calibrated(predictions(40, 40, 0), context.params.calibrate)
    assert found.covid19_threshold is None
    assert found.images["covid19"] == 0
    assert [warning.split(":")[0] for warning in found.warnings] == ["No validation image of COVID-19"]
    assert "no threshold can be chosen for calibrate.sensitivity_floor" in found.warnings[0]


def test_too_few_validation_images_are_said(context: StageContext) -> None:
    found = calibrated(predictions(4, 3, 1, edge=1), context.params.calibrate)
    assert (found.conformal_quantile, found.quantile) == (None, np.inf)
    assert any("Too few validation images (8) for prediction sets" in warning for warning in found.warnings)
    assert any("Use 9 or more, or raise calibrate.miscoverage" in warning for warning in found.warnings)
    params = replace(context.params.calibrate, miscoverage=0.2)
    assert calibrated(predictions(4, 3, 1, edge=1), params).conformal_quantile is not None


def test_too_few_validation_images_of_covid19_for_the_threshold_are_said(context: StageContext) -> None:
    (warning,) = calibrated(predictions(60, 60, 9), context.params.calibrate).warnings
    assert warning.startswith("Too few validation images of COVID-19 (9) to miss one and still reach 90%")
    assert "Use 10 or more, or lower calibrate.sensitivity_floor" in warning
    assert calibrated(predictions(60, 60, 10), context.params.calibrate).warnings == []
    certain = replace(context.params.calibrate, sensitivity_floor=1.0)
    assert calibrated(predictions(60, 60, 9), certain).warnings == []


def test_validation_images_that_are_all_told_right_leave_the_temperature_open(context: StageContext) -> None:
    found = calibrated(predictions(20, 20, 20, edge=50), context.params.calibrate)
    assert found.temperature == pytest.approx(COLDEST)
    assert any(warning.startswith("The temperature is at 0.05") for warning in found.warnings)


def test_without_its_file_the_stage_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"models/calibration.json: not there. Run the stage calibrate first"):
        read_calibration()
