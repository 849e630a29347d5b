"""Stage `evaluate`: figures of the test split, and what is left of them when images are missing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import DataError
from tasks.calibrate.calibration_file import write_calibration
from tasks.calibrate.split_predictions import DISAGREEMENT, SplitPredictions
from tasks.calibrate.stage import calibrated
from tasks.evaluate import stage as evaluate
from tasks.networks.residual_index import ENERGY_COLUMNS
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.paths import CONFUSION_PLOT, METRICS, PREDICTIONS, RELIABILITY_PLOT, precision_recall_plot, roc_plot
from tasks.runtime.stage_context import StageContext
from tests.conftest import PARAMS, PROJECT
from tests.tasks.predictions import Told, predictions

Evaluated = Callable[..., dict[str, Any]]
TEST = predictions(40, 30, 12, seed=1)
VALIDATION = predictions(60, 60, 20)


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluated:
    """A function that evaluates a test split, calibrated on a validation split, and returns metrics.json."""
    monkeypatch.chdir(PROJECT)
    params = read_params(PARAMS)
    monkeypatch.chdir(tmp_path)

    def run(test: SplitPredictions = TEST, validation: SplitPredictions = VALIDATION, **changes: Any) -> dict[str, Any]:
        ours: EvaluateParams = replace(params.evaluate, **({"bootstrap_replicates": 200} | changes))
        write_calibration(calibrated(validation, params.calibrate))
        asked = []
        monkeypatch.setattr(evaluate, "predict_split", lambda _, split: asked.append(split) or test)
        told = cast("Any", Told())
        evaluate.run(StageContext(name="evaluate", params=replace(params, evaluate=ours), tracking=told))
        assert asked == ["test"]
        assert all(np.isfinite(value) for value in told.numbers.values())
        metrics: dict[str, Any] = json.loads(METRICS.read_text())
        return metrics

    return run


def test_areas_are_those_of_the_predictions_table(evaluated: Evaluated) -> None:
    metrics = evaluated()
    table = pd.read_parquet(PREDICTIONS)
    assert metrics["images"] == len(table) == 82
    assert metrics["accuracy"] == (table["label"] == table["predicted"]).mean()
    for name, area in (("roc_auc", roc_auc_score), ("pr_auc", average_precision_score)):
        expected = {c: area(table["label"] == c, table[f"probability_{c}"]) for c in CLASSES}
        assert metrics[name] == pytest.approx(expected | {"macro": np.mean(list(expected.values()))})


def test_every_image_is_described_in_the_predictions_table(evaluated: Evaluated) -> None:
    metrics = evaluated()
    table = pd.read_parquet(PREDICTIONS)
    by_class = [f"{name}_{c}" for name in ("logit", "probability", "calibrated") for c in CLASSES]
    described = ["image_id", "patient_id", "patient_group", "label", "source", "view", "sex", "age", "predicted"]
    assert list(table) == [
        "stack_row",
        *described,
        *by_class,
        "prediction_set",
        "abstained",
        "ood_score",
        "disagreement",
    ]
    assert table["stack_row"].tolist() == TEST.images.index.tolist()
    logits = table[[f"logit_{c}" for c in CLASSES]].to_numpy()
    for name, temperature in (("probability", 1.0), ("calibrated", metrics["calibration"]["temperature"])):
        exponents = np.exp(logits / temperature)
        expected = exponents / exponents.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(table[[f"{name}_{c}" for c in CLASSES]], expected)
    assert table["abstained"].tolist() == [len(held) != 1 for held in table["prediction_set"]]
    holds_truth = [label in held for label, held in zip(table["label"], table["prediction_set"], strict=True)]
    assert metrics["abstention"]["coverage"]["share"] == np.mean(holds_truth)
    assert metrics["abstention"]["abstained"]["share"] == table["abstained"].mean()
    threshold = metrics["out_of_distribution"]["threshold"]
    assert metrics["out_of_distribution"]["all"]["share"] == (table["ood_score"] > threshold).mean()


def with_errors(healthy: list[float], pneumonia: list[float]) -> SplitPredictions:
    """The test split, where each image has the errors (|X - F_H|, |X - F_P|) of its class."""
    images = TEST.images.copy()
    for label, errors in (("healthy", healthy), ("pneumonia", pneumonia)):
        images.loc[images["label"] == label, ["residual_healthy", "residual_pneumonia"]] = errors
    return replace(TEST, images=images)


def test_the_own_class_margin_by_hand(evaluated: Evaluated) -> None:
    margin = evaluated(with_errors([0.01, 0.03], [0.04, 0.02]))["own_class_margin"]
    assert margin["healthy"] == pytest.approx({"own": 0.01, "other": 0.03, "own_is_better": 1.0})
    assert margin["pneumonia"] == pytest.approx({"own": 0.02, "other": 0.04, "own_is_better": 1.0})
    assert margin["roc_auc"] == 1
    assert margin["roc_auc_interval"] is None


def test_the_own_class_margin_is_none_where_both_autoencoders_are_alike(evaluated: Evaluated) -> None:
    margin = evaluated(with_errors([0.02, 0.02], [0.05, 0.05]))["own_class_margin"]
    assert margin["roc_auc"] == 0.5
    assert margin["healthy"]["own_is_better"] == margin["pneumonia"]["own_is_better"] == 0


def test_images_that_are_no_xray_are_named_first(evaluated: Evaluated) -> None:
    strange = TEST.images.assign(image_id=[f"x{i}" for i in range(82)])
    strange.iloc[[5, 60], strange.columns.get_indexer(ENERGY_COLUMNS)] = [[0.5, 0.5, 1.0], [0.2, 0.2, 0.4]]
    found = evaluated(replace(TEST, images=strange))["out_of_distribution"]
    furthest = found["furthest"]
    assert [(one["image_id"], one["label"]) for one in furthest[:2]] == [("x5", "healthy"), ("x60", "pneumonia")]
    scores = [one["score"] for one in furthest]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > found["threshold"]
    assert len(furthest) == min(10, round(82 * found["all"]["share"]))


def test_intervals_hold_their_figures_and_come_from_the_seed(evaluated: Evaluated) -> None:
    metrics = evaluated()
    for name in ("precision", "recall", "f1_score", "balanced_accuracy", "cohen_kappa", "mcc"):
        low, high = metrics["intervals"][name]
        assert low < metrics[name] < high
    for area in ("roc_auc", "pr_auc"):
        for key, (low, high) in metrics["intervals"][area].items():
            assert low <= metrics[area][key] <= high
    assert evaluated()["intervals"] == metrics["intervals"]


def test_no_error_among_few_images_is_not_called_certain(evaluated: Evaluated) -> None:
    metrics = evaluated(predictions(40, 30, 12, edge=50))
    assert metrics["roc_auc"]["macro"] == metrics["accuracy"] == 1
    assert metrics["intervals"]["roc_auc"]["macro"] is None
    assert metrics["accuracy_interval"][0] < 0.96


def test_groups_add_up_and_missing_values_are_a_group(evaluated: Evaluated) -> None:
    groups = evaluated(small_group_images=25)["subgroups"]
    assert list(groups) == ["source", "view", "sex", "age_group"]
    for members in groups.values():
        assert sum(group["images"] for group in members.values()) == 82
        assert sum(group["by_class"]["covid19"] for group in members.values()) == 12
    assert groups["view"]["unknown"]["images"] == 21
    assert groups["view"]["unknown"]["is_small"]
    assert not groups["view"]["PA"]["is_small"]
    right = TEST.truth == TEST.predicted
    is_cohen = (TEST.images["source"] == "cohen").to_numpy()
    assert groups["source"]["cohen"]["accuracy"] == right[is_cohen].mean()
    areas = [roc_auc_score(TEST.truth[is_cohen] == i, TEST.probabilities()[is_cohen, i]) for i in range(3)]
    assert groups["source"]["cohen"]["roc_auc_macro"] == pytest.approx(np.mean(areas))
    low, high = groups["source"]["cohen"]["accuracy_interval"]
    assert low < groups["source"]["cohen"]["accuracy"] < high


def test_each_group_has_its_specificity_beside_its_sensitivity(evaluated: Evaluated) -> None:
    group = evaluated()["subgroups"]["source"]["cohen"]
    is_cohen = (TEST.images["source"] == "cohen").to_numpy()
    truth, predicted = TEST.truth[is_cohen] == 2, TEST.predicted[is_cohen] == 2
    assert group["sensitivity"]["covid19"] == predicted[truth].mean()
    assert group["specificity"]["covid19"] == pytest.approx((~predicted[~truth]).mean())
    low, high = group["specificity_interval"]["covid19"]
    assert low < group["specificity"]["covid19"] <= high


def test_the_threshold_of_the_validation_split_is_applied_unchanged(evaluated: Evaluated) -> None:
    points = evaluated(specificities=[0.99])["operating_points"]
    at = points["at_validation_threshold"]
    score, is_covid = TEST.probabilities()[:, 2], TEST.truth == 2
    assert (VALIDATION.probabilities()[VALIDATION.truth == 2, 2] >= at["threshold"]).mean() == 0.9
    assert at["sensitivity"] == (score[is_covid] >= at["threshold"]).mean()
    assert at["specificity"] == (score[~is_covid] < at["threshold"]).mean()
    assert list(points["at_specificity"]) == ["0.99"]
    low, high = points["at_specificity"]["0.99"]["sensitivity_interval"]
    assert low <= points["at_specificity"]["0.99"]["sensitivity"] <= high


def test_hard_predictions_have_areas_of_their_own(evaluated: Evaluated) -> None:
    hard = evaluated(auc_of="predictions")
    expected = roc_auc_score(TEST.truth == 0, TEST.predicted == 0)
    assert hard["roc_auc"]["healthy"] == pytest.approx(expected)
    assert hard["roc_auc"]["healthy"] < evaluated()["roc_auc"]["healthy"]


@pytest.mark.parametrize("auc_of", ["probabilities", "predictions"])
def test_curves_have_the_areas_of_the_tables(evaluated: Evaluated, auc_of: str) -> None:
    metrics = evaluated(auc_of=auc_of)
    for label in CLASSES:
        roc = pd.read_csv(roc_plot(label))
        area = np.trapezoid(roc["sensitivity"], roc["false_positive_rate"])
        assert area == pytest.approx(metrics["roc_auc"][label])
        curve = pd.read_csv(precision_recall_plot(label))
        steps = np.diff(curve["recall"], prepend=0)
        assert (np.abs(steps) * curve["precision"]).sum() == pytest.approx(metrics["pr_auc"][label])


def test_the_reliability_bins_make_up_the_calibration_errors(evaluated: Evaluated) -> None:
    found = evaluated()["calibration"]
    assert found["before"]["ece"] != found["after"]["ece"]
    for name in ("before", "after"):
        bins = [one for one in found["reliability"][name] if one["images"]]
        gaps = [one["images"] * abs(one["accuracy"] - one["confidence"]) for one in bins]
        assert found[name]["ece"] == pytest.approx(sum(gaps) / 82)


def test_plots_show_all_classes_and_both_calibrations(evaluated: Evaluated) -> None:
    evaluated()
    assert len(pd.read_csv(CONFUSION_PLOT)) == 82
    for label in CLASSES:
        roc = pd.read_csv(roc_plot(label)).to_numpy()
        assert (roc[0].tolist(), roc[-1].tolist()) == ([0, 0], [1, 1])
        assert pd.read_csv(precision_recall_plot(label))["recall"].iloc[-1] == 1
    diagram = pd.read_csv(RELIABILITY_PLOT)
    assert diagram.groupby("probabilities")["images"].sum().to_dict() == {"as_given": 82, "calibrated": 82}


def test_a_class_without_test_images_has_no_figures_and_the_others_do(
    evaluated: Evaluated, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = evaluated(predictions(40, 30, 0, seed=1))
    assert "warning: No test image of COVID-19" in capsys.readouterr().out
    for name in ("sensitivity", "roc_auc", "pr_auc"):
        assert metrics[name]["covid19"] is None
        assert metrics[name]["healthy"] > 0.5
    assert metrics["intervals"]["roc_auc"]["covid19"] is None
    assert metrics["roc_auc"]["macro"] == pytest.approx(
        (metrics["roc_auc"]["healthy"] + metrics["roc_auc"]["pneumonia"]) / 2
    )
    assert metrics["operating_points"]["at_specificity"]["0.9"]["sensitivity"] is None
    assert metrics["operating_points"]["at_validation_threshold"]["specificity"] > 0.5
    assert metrics["abstention"]["coverage_by_class"]["covid19"]["share"] is None
    assert pd.read_csv(roc_plot("covid19")).empty


def test_a_test_split_of_one_class_has_no_areas_and_says_so(
    evaluated: Evaluated, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = evaluated(predictions(40, 0, 0))
    assert "All test images are of one class" in capsys.readouterr().out
    assert set(metrics["roc_auc"].values()) == {None}
    assert metrics["mcc"] is None
    assert metrics["accuracy"] > 0.5


def test_a_class_without_validation_images_leaves_the_test_figures(evaluated: Evaluated) -> None:
    metrics = evaluated(TEST, predictions(40, 40, 0))
    assert set(metrics["operating_points"]["at_validation_threshold"].values()) == {0.9, None}
    assert any("No validation image of COVID-19" in warning for warning in metrics["warnings"])
    assert metrics["sensitivity"]["covid19"] is not None


def test_too_few_validation_images_leave_nothing_answered(evaluated: Evaluated) -> None:
    metrics = evaluated(TEST, predictions(3, 3, 2, edge=1))
    assert metrics["abstention"]["conformal_quantile"] is None
    assert metrics["abstention"]["abstained"]["share"] == 1
    assert metrics["abstention"]["answered_right"] == {"share": None, "interval": None, "images": 0}


def test_evaluation_waits_for_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    params = read_params(PARAMS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="Run the stage calibrate first"):
        evaluate.run(StageContext(name="evaluate", params=params, tracking=cast("Any", Told())))


def test_networks_that_differ_more_on_errors_tell_them(evaluated: Evaluated) -> None:
    is_wrong = TEST.predicted != TEST.truth
    differing = np.where(is_wrong, 0.2, 0.1)
    differing[np.flatnonzero(is_wrong)[0]] = 0.0  # one error on which they agree
    told = replace(TEST, images=TEST.images.assign(**{DISAGREEMENT: differing}))
    found = evaluated(test=told)["disagreement"]
    assert found["roc_auc"] == pytest.approx(roc_auc_score(is_wrong, differing))
    assert found["roc_auc_interval"][0] < found["roc_auc"]
    sure = TEST.probabilities().max(axis=1)
    assert found["roc_auc_of_probability"] == pytest.approx(roc_auc_score(is_wrong, -sure))
    assert pd.read_parquet(PREDICTIONS)[DISAGREEMENT].tolist() == differing.tolist()


def test_one_network_has_no_disagreement(evaluated: Evaluated) -> None:
    nothing = {"roc_auc": None, "roc_auc_interval": None, "roc_auc_of_probability": None}
    assert evaluated()["disagreement"] == nothing
    assert pd.read_parquet(PREDICTIONS)[DISAGREEMENT].isna().all()
