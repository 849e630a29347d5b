"""The gate: whether a candidate may become the champion, by rules, with the figures that say so.

A decision is made of rulings, one a rule, each a plain sentence with its figures. All rules are always applied, so a
refusal names everything that speaks against the candidate, not only the first of it:

    sensitivity       the lower end of each class's interval reaches the floor
    calibration       the calibrated probabilities' error is at most `max_calibration_error`
    leaks             no patient is both in training and in test, if required
    shortcuts         the stage audit is passed, if required
    champion          the interval of the paired difference does not reach below -`max_drop`
    champion.<class>  no class is surely told worse than by the champion

The last two need a champion. Doubt counts against the candidate: where there are too few patients for an interval, the
champion stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from coronet_core.metrics.bootstrap import PairedDifference
from coronet_core.metrics.intervals import Interval
from tasks.promotion.model_comparison import Comparison
from tasks.promotion.run_reports import Candidate
from tasks.runtime.params.schema import PromotionParams

Figures = dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What one rule comes to."""

    rule: str
    passed: bool
    reason: str
    """A sentence with the figures."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gate says of a candidate."""

    rulings: tuple[Ruling, ...]
    figures: Figures
    """The figures that were judged, by dotted name."""
    notes: tuple[str, ...] = ()
    """What no rule counts and a person should know, in plain sentences."""

    @property
    def passed(self) -> bool:
        """Whether every rule is met."""
        return all(ruling.passed for ruling in self.rulings)

    @property
    def reasons(self) -> list[str]:
        """The sentences of the rules that are not met or, if all are, of all of them."""
        return [ruling.reason for ruling in self.rulings if ruling.passed == self.passed]


def decide(candidate: Candidate, comparison: Comparison | None, params: PromotionParams) -> Decision:
    """Judge `candidate`; `comparison` is that with the champion, None if there is none."""
    rulings = [*_on_its_own(candidate, params)]
    notes = ["There is no champion to compare with."]
    if comparison is not None:
        rulings += [*_against_the_champion(comparison, params)]
        notes = list(comparison.notes)
    return Decision(rulings=tuple(rulings), figures=_figures(candidate, comparison, params), notes=tuple(notes))


def _on_its_own(candidate: Candidate, params: PromotionParams) -> Iterator[Ruling]:
    for label in CLASSES:
        floor, found = getattr(params.min_sensitivity, label), candidate.sensitivity[label]
        if found.share is None or found.low is None:
            told = f"No test image of {DISPLAY_NAMES[label]}: its sensitivity is not known"
        else:
            told = f"Sensitivity to {DISPLAY_NAMES[label]} is {found.share:.1%}, and surely {found.low:.1%} or more"
        yield Ruling(
            rule=f"sensitivity.{label}",
            passed=floor == 0 or (found.low is not None and found.low >= floor),
            reason=f"{told}; {floor:.1%} or more is wanted.",
        )
    yield Ruling(
        rule="calibration",
        passed=candidate.calibration_error <= params.max_calibration_error,
        reason=(
            f"Calibrated probabilities are {candidate.calibration_error:.3f} off (ECE); at most "
            f"{params.max_calibration_error:g} is allowed."
        ),
    )
    patients = candidate.patients_in_two_splits
    yield Ruling(
        rule="leaks",
        passed=patients == 0 or not params.require_leak_audit,
        reason=(
            f"{patients} patients are in more than one split: the figures on the test split are too good"
            if patients
            else "No patient is in more than one split"
        )
        + _required(is_required=params.require_leak_audit),
    )
    findings = " ".join(candidate.audit_findings)
    yield Ruling(
        rule="shortcuts",
        passed=not findings or not params.require_shortcut_audit,
        reason=(
            f"The shortcut audit is not passed: {findings.rstrip('.')}" if findings else "The shortcut audit is passed"
        )
        + _required(is_required=params.require_shortcut_audit),
    )


def _required(*, is_required: bool) -> str:
    return "." if is_required else " (not required)."


def _against_the_champion(comparison: Comparison, params: PromotionParams) -> Iterator[Ruling]:
    found = comparison.differences[params.compared_by]
    figure = _words(params.compared_by)
    yield Ruling(
        rule="champion",
        passed=found.interval is not None and found.interval[0] >= -params.max_drop,
        reason=(
            f"Too few patients to compare with version {comparison.champion}: the difference in {figure} is "
            f"{_points(found.difference)} percentage points, and may be chance."
            if found.interval is None
            else f"Against version {comparison.champion}, {figure} changes by {_told(found, found.interval)} "
            f"percentage points; {_points(-params.max_drop)} is allowed."
        ),
    )
    for label in CLASSES:
        found = comparison.differences[f"sensitivity.{label}"]
        if found.interval is not None:
            is_worse = found.interval[1] < 0
            how = "surely" if is_worse else "not surely"
            yield Ruling(
                rule=f"champion.{label}",
                passed=not is_worse,
                reason=(
                    f"Sensitivity to {DISPLAY_NAMES[label]} is {how} lower than that of version "
                    f"{comparison.champion}: it changes by {_told(found, found.interval)} percentage points."
                ),
            )


def _told(found: PairedDifference, interval: Interval) -> str:
    low, high = interval
    return f"{_points(found.difference)} ({_points(low)} to {_points(high)})"


def _points(share: float) -> str:
    points = round(100 * share, 1)
    return f"{points:+.1f}" if points else "0.0"


def _words(figure: str) -> str:
    return {"roc_auc.macro": "the macro ROC-AUC"}.get(figure, figure.replace("_", " "))


def _figures(candidate: Candidate, comparison: Comparison | None, params: PromotionParams) -> Figures:
    figures: Figures = {"calibration_error": candidate.calibration_error}
    figures["patients_in_two_splits"] = float(candidate.patients_in_two_splits)
    for label, found in candidate.sensitivity.items():
        figures |= {f"sensitivity.{label}": found.share, f"sensitivity.{label}.low": found.low}
    if comparison is not None:
        for name in (params.compared_by, *(f"sensitivity.{label}" for label in CLASSES)):
            difference = comparison.differences[name]
            low, high = difference.interval or (None, None)
            named = f"difference.{name}"
            figures |= {named: difference.difference, f"{named}.low": low, f"{named}.high": high}
    return figures
