"""The promotion gate: rules by which a candidate may become the champion.

A decision has one ruling per rule, each with a sentence that gives the figures. All rules are always applied, so a
refusal lists every rule that is not met:

    sensitivity       the lower end of each class's interval reaches the floor
    calibration       the calibration error (ECE) of the calibrated probabilities is at most `max_calibration_error`
    leaks             no patient is in more than one split, if required
    shortcuts         the shortcut audit is passed, if required
    champion          the interval of the paired difference does not reach below -`max_drop`
    champion.<class>  the sensitivity for no class is significantly lower than the champion's

The last two need a champion. Uncertainty counts against the candidate: if there are too few patients for an interval,
or none of a class, the champion stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from coronet_core.metrics.bootstrap import PairedDifference
from coronet_core.metrics.intervals import Interval
from coronet_core.support.plurals import counted
from tasks.promotion.model_comparison import Comparison
from tasks.promotion.run_reports import Candidate
from tasks.runtime.params.schema import PromotionParams

Figures = dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """The result of one rule."""

    rule: str
    passed: bool
    reason: str
    """A sentence with the figures."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The gate's decision on a candidate."""

    rulings: tuple[Ruling, ...]
    figures: Figures
    """The figures that were judged, by dotted name."""
    notes: tuple[str, ...] = ()
    """Information for the reader that no rule uses, as sentences."""

    @property
    def passed(self) -> bool:
        """Whether all rules are met."""
        return all(ruling.passed for ruling in self.rulings)

    @property
    def reasons(self) -> list[str]:
        """The sentences of the rules that are not met or, if all are met, of all rules."""
        return [ruling.reason for ruling in self.rulings if ruling.passed == self.passed]


def decide(candidate: Candidate, comparison: Comparison | None, params: PromotionParams) -> Decision:
    """Apply the rules to `candidate`; `comparison` is with the champion, None if there is none."""
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
            measured = f"No test image of {DISPLAY_NAMES[label]}: its sensitivity is unknown"
        else:
            measured = f"Sensitivity for {DISPLAY_NAMES[label]} is {found.share:.1%}, lower limit {found.low:.1%}"
        yield Ruling(
            rule=f"sensitivity.{label}",
            passed=floor == 0 or (found.low is not None and found.low >= floor),
            reason=f"{measured}; required: {floor:.1%} or more.",
        )
    yield Ruling(
        rule="calibration",
        passed=candidate.calibration_error <= params.max_calibration_error,
        reason=(
            f"The calibration error (ECE) is {candidate.calibration_error:.3f}; allowed: at most "
            f"{params.max_calibration_error:g}."
        ),
    )
    patients = candidate.patients_in_two_splits
    yield Ruling(
        rule="leaks",
        passed=patients == 0 or not params.require_leak_audit,
        reason=(
            f"{counted(patients, 'patient is', 'patients are')} in more than one split: the figures on the test split "
            "are too optimistic"
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
    yield _on_the_whole(comparison, params)
    for label in CLASSES:
        found = comparison.differences[f"sensitivity.{label}"]
        if found.interval is not None:
            is_worse = found.interval[1] < 0
            how = "significantly" if is_worse else "not significantly"
            yield Ruling(
                rule=f"champion.{label}",
                passed=not is_worse,
                reason=(
                    f"Sensitivity for {DISPLAY_NAMES[label]} is {how} lower than that of "
                    f"{comparison.other}: it changes by {_with_interval(found, found.interval, 'sensitivity')} "
                    "percentage points."
                ),
            )


def _on_the_whole(comparison: Comparison, params: PromotionParams) -> Ruling:
    found = comparison.differences[params.compared_by]
    figure = _words(params.compared_by)
    unit = "" if _is_area(params.compared_by) else " percentage points"
    missing = [DISPLAY_NAMES[label] for label in comparison.classes_left_out]
    if missing:
        reason = f"No test image of {' or '.join(missing)} is left to compare with {comparison.other}."
    elif found.interval is None:
        reason = (
            f"Too few patients to compare with {comparison.other}: the difference in {figure} is "
            f"{_number(found.difference, params.compared_by)}{unit} and may be due to chance."
        )
    else:
        reason = (
            f"Against {comparison.other}, {figure} changes by "
            f"{_with_interval(found, found.interval, params.compared_by)}{unit}; "
            f"allowed: {_number(-params.max_drop, params.compared_by)} or more."
        )
    is_kept = found.interval is not None and found.interval[0] >= -params.max_drop
    return Ruling(rule="champion", passed=is_kept and not missing, reason=reason)


def _with_interval(found: PairedDifference, interval: Interval, figure: str) -> str:
    low, high = interval
    return f"{_number(found.difference, figure)} ({_number(low, figure)} to {_number(high, figure)})"


def _number(difference: float, figure: str) -> str:
    """Return the difference of an area as it is, that of a share in percentage points."""
    value, digits = (difference, 3) if _is_area(figure) else (100 * difference, 1)
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else "0.0"


def _is_area(figure: str) -> bool:
    return figure.startswith("roc_auc")


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
