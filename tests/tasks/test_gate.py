"""The gate: what it lets pass, what it refuses, and the sentence that says why."""

from dataclasses import replace
from typing import Any

import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.bootstrap import PairedDifference
from coronet_core.metrics.intervals import Interval
from tasks.promotion.gate import decide
from tasks.promotion.model_comparison import Comparison
from tasks.promotion.run_reports import Candidate, Sensitivity
from tasks.runtime.params.schema import PromotionParams, SensitivityFloors

PARAMS = PromotionParams(
    min_sensitivity=SensitivityFloors(healthy=0.5, pneumonia=0.5, covid19=0.7),
    compared_by="balanced_accuracy",
    max_drop=0.05,
    max_calibration_error=0.1,
    require_leak_audit=True,
    require_shortcut_audit=True,
    approval="auto",
    approval_timeout_hours=1,
)
GOOD = Candidate(
    sensitivity=dict.fromkeys(CLASSES, Sensitivity(share=0.9, low=0.75)),
    calibration_error=0.04,
    patients_in_two_splits=0,
    audit_findings=(),
)


def against(overall: Interval | None, covid19: Interval | None = (-0.1, 0.1)) -> Comparison:
    """A comparison with version 3; a difference is the middle of its interval."""

    def difference(interval: Interval | None) -> PairedDifference:
        return PairedDifference(0.0 if interval is None else sum(interval) / 2, interval, 0.5)

    by_class = dict.fromkeys(("sensitivity.healthy", "sensitivity.pneumonia"), difference((0.0, 0.0)))
    differences = {"balanced_accuracy": difference(overall), "sensitivity.covid19": difference(covid19)} | by_class
    return Comparison(other="version 3", values={}, differences=differences, notes=("Compared on 40 images.",))


def test_a_good_first_candidate_passes_and_every_rule_is_told() -> None:
    decision = decide(GOOD, None, PARAMS)
    assert decision.passed
    assert [ruling.rule for ruling in decision.rulings] == [
        "sensitivity.healthy",
        "sensitivity.pneumonia",
        "sensitivity.covid19",
        "calibration",
        "leaks",
        "shortcuts",
    ]
    assert decision.reasons == [ruling.reason for ruling in decision.rulings]
    assert decision.notes == ("There is no champion to compare with.",)


@pytest.mark.parametrize(
    ("fault", "rule", "reason"),
    [
        (
            {"sensitivity": GOOD.sensitivity | {"covid19": Sensitivity(share=0.8, low=0.65)}},  # type: ignore[operator]
            "sensitivity.covid19",
            "Sensitivity for COVID-19 is 80.0%, lower limit 65.0%; required: 70.0% or more.",
        ),
        (
            {"sensitivity": GOOD.sensitivity | {"covid19": Sensitivity(share=None, low=None)}},  # type: ignore[operator]
            "sensitivity.covid19",
            "No test image of COVID-19: its sensitivity is unknown; required: 70.0% or more.",
        ),
        (
            {"calibration_error": 0.1234},
            "calibration",
            "The calibration error (ECE) is 0.123; allowed: at most 0.1.",
        ),
        (
            {"patients_in_two_splits": 7},
            "leaks",
            "7 patients are in more than one split: the figures on the test split are too optimistic.",
        ),
        (
            {"audit_findings": ("90% comes from the border.",)},
            "shortcuts",
            "The shortcut audit is not passed: 90% comes from the border.",
        ),
    ],
)
def test_what_speaks_against_a_candidate_is_told(fault: dict[str, Any], rule: str, reason: str) -> None:
    decision = decide(replace(GOOD, **fault), None, PARAMS)
    assert not decision.passed
    assert decision.reasons == [reason]
    assert [ruling.rule for ruling in decision.rulings if not ruling.passed] == [rule]


def test_a_class_that_could_not_be_compared_keeps_the_champion() -> None:
    decision = decide(GOOD, replace(against((-0.01, 0.05)), classes_left_out=("pneumonia", "covid19")), PARAMS)
    assert decision.reasons == ["No test image of non-COVID Pneumonia or COVID-19 is left to compare with version 3."]


def test_all_faults_are_told_at_once() -> None:
    bad = replace(GOOD, calibration_error=0.5, patients_in_two_splits=1, audit_findings=("a.", "b."))
    assert len(decide(bad, against((-0.5, 0.5)), PARAMS).reasons) == 4


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ({"patients_in_two_splits": 7}, {"require_leak_audit": False}),
        ({"audit_findings": ("90% comes from the border.",)}, {"require_shortcut_audit": False}),
        ({"calibration_error": 0.4}, {"max_calibration_error": 0.4}),
        (
            {"sensitivity": GOOD.sensitivity | {"covid19": Sensitivity(share=None, low=None)}},  # type: ignore[operator]
            {"min_sensitivity": SensitivityFloors(healthy=0.5, pneumonia=0.5, covid19=0)},
        ),
    ],
)
def test_a_rule_can_be_loosened(fault: dict[str, Any], changes: dict[str, Any]) -> None:
    assert decide(replace(GOOD, **fault), None, replace(PARAMS, **changes)).passed


def test_an_audit_that_is_not_required_is_told_nevertheless() -> None:
    leaking = replace(GOOD, patients_in_two_splits=7)
    (told,) = [
        r.reason for r in decide(leaking, None, replace(PARAMS, require_leak_audit=False)).rulings if r.rule == "leaks"
    ]
    assert (
        told
        == "7 patients are in more than one split: the figures on the test split are too optimistic (not required)."
    )


@pytest.mark.parametrize(
    ("interval", "reason"),
    [
        ((-0.05, 0.03), None),
        ((0.02, 0.08), None),
        ((0.0, 0.0), None),
        (
            (-0.06, 0.2),
            (
                "Against version 3, balanced accuracy changes by +7.0 (-6.0 to +20.0) percentage points; allowed: -5.0 "
                "or more."
            ),
        ),
        (
            None,
            (
                "Too few patients to compare with version 3: the difference in balanced accuracy is 0.0 percentage "
                "points and may be due to chance."
            ),
        ),
    ],
)
def test_a_candidate_may_not_be_worse_than_the_champion(interval: Interval | None, reason: str | None) -> None:
    decision = decide(GOOD, against(interval), PARAMS)
    assert decision.passed == (reason is None)
    assert reason is None or decision.reasons == [reason]


def test_an_area_is_no_percentage() -> None:
    by_area = replace(PARAMS, compared_by="roc_auc.macro")
    shares = against((-0.06, 0.2))
    areas = replace(shares, differences={**shares.differences, "roc_auc.macro": shares.differences[PARAMS.compared_by]})
    (reason,) = decide(GOOD, areas, by_area).reasons
    assert reason == (
        "Against version 3, the macro ROC-AUC changes by +0.070 (-0.060 to +0.200); allowed: -0.050 or more."
    )


def test_no_class_may_be_told_surely_worse_whatever_the_overall_figure() -> None:
    decision = decide(GOOD, against((0.05, 0.2), covid19=(-0.3, -0.1)), PARAMS)
    (reason,) = decision.reasons
    assert reason == (
        "Sensitivity for COVID-19 is significantly lower than that of version 3: it changes by -20.0 (-30.0 to -10.0) "
        "percentage points."
    )


def test_the_figures_are_those_that_were_judged() -> None:
    figures = decide(GOOD, against((-0.02, 0.04)), PARAMS).figures
    assert figures["sensitivity.covid19.low"] == 0.75
    assert figures["difference.balanced_accuracy"] == pytest.approx(0.01)
    assert figures["difference.balanced_accuracy.low"] == -0.02
    assert figures["calibration_error"] == 0.04


def test_a_sensitivity_is_as_sure_as_the_more_careful_of_its_intervals() -> None:
    metrics = {
        "sensitivity": dict.fromkeys(CLASSES, 1.0) | {"covid19": None},
        "sensitivity_interval": dict.fromkeys(CLASSES, (0.8, 1.0)),
        "intervals": {"sensitivity": {"healthy": [1.0, 1.0], "pneumonia": None, "covid19": None}},
        "calibration": {"after": {"ece": 0.02}},
    }
    found = Candidate.of_reports(metrics, {"verdict": {"findings": []}}, {"patients_in_two_splits": 0})
    assert found.sensitivity["healthy"].low == 0.8
    assert found.sensitivity["pneumonia"].low == 0.8
    assert found.sensitivity["covid19"] == Sensitivity(share=None, low=None)
