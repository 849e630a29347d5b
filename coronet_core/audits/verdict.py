"""Whether a network's accuracy comes from the lungs: a verdict for readers and for the promotion gate.

Four rules, each about a share of the skill on whole images (`Retained`). Where its two measures differ, the worse one
counts. If the skill on whole images is not significantly above chance, that is a finding and no rule applies.

    lungs_masked              at most `max_retained_skill` is left without the lungs
    only_border               at most `max_retained_skill` is left on the border alone
    borders_and_text_masked   at least `min_kept_skill` is left without the border and the text
    source                    at most `max_source_skill` comes from the name of the source, without any image

The last rule is about the data set, not the network: where it fails, no test accuracy on that data means much. The
first three test the network as trained. Since it was trained on whole images, masks also cost accuracy by being
unfamiliar: passing does not prove that the network reads lungs alone; failing shows that it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from coronet_core.audits.masking import View
from coronet_core.audits.skill import ViewFigures, retained
from coronet_core.support.percentages import as_percentage

FEWEST_CLASSES: Final = 2
"""Fewest classes that can be audited."""
ONE_SOURCE: Final = "All images come from one source, so the source cannot give the class away."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Shares of skill, 0 chance and 1 that on whole images."""

    max_retained_skill: float
    max_source_skill: float
    min_kept_skill: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of the rules."""

    passed: bool
    """There are no findings. A rule that does not apply is listed in `not_checked` and does not fail."""
    findings: list[str]
    """A sentence for each broken rule."""
    not_checked: list[str]
    """Rules that do not apply to these images, and why."""
    limits: Limits


@dataclass(frozen=True)
class _Rule:
    name: str
    what: str
    """Completes the sentence '50% of the skill ...'."""
    figures: ViewFigures
    at_most: float = inf
    at_least: float = -inf


def judge(
    network: Mapping[View, ViewFigures],
    source: ViewFigures | None,
    n_classes: int,
    limits: Limits,
    without_source: str = ONE_SOURCE,
) -> Verdict:
    """Return the verdict on a `network` from its figures on each view of test images of `n_classes` classes.

    `source` holds the figures of a classifier that knows the source alone; where it is None, `without_source` says why.
    """
    whole = network["as_is"]
    findings, not_checked = _without_skill(whole, n_classes), []
    rules = [
        _Rule(
            "Lungs-masked",
            "remains with the lungs masked",
            network["lungs_masked"],
            at_most=limits.max_retained_skill,
        ),
        _Rule(
            "Border-only",
            "remains on the image border alone",
            network["only_border"],
            at_most=limits.max_retained_skill,
        ),
        _Rule(
            "Borders-and-text-masked",
            "remains with borders and text masked",
            network["borders_and_text_masked"],
            at_least=limits.min_kept_skill,
        ),
    ]
    if source is None:
        not_checked.append(without_source)
    else:
        what = "comes from the source's name alone, without any image"
        rules.append(_Rule("Source-only", what, source, at_most=limits.max_source_skill))
    for rule in rules:
        shares = retained(rule.figures, whole, n_classes).known
        scored = f"({_scores(rule.figures)}; whole images: {_scores(whole)})"
        if not shares:
            not_checked.append(f"{rule.name} test not applicable: no skill above chance.")
        elif (most := max(shares)) > rule.at_most:
            findings.append(
                f"{most:.1%} of the skill {rule.what} {scored}: at most {as_percentage(rule.at_most)} is allowed."
            )
        elif (least := min(shares)) < rule.at_least:
            findings.append(
                f"{least:.1%} of the skill {rule.what} {scored}: at least {as_percentage(rule.at_least)} is required."
            )
    return Verdict(passed=not findings, findings=findings, not_checked=not_checked, limits=limits)


def _without_skill(whole: ViewFigures, n_classes: int) -> list[str]:
    if n_classes < FEWEST_CLASSES:
        return ["All test images are of one class: there is nothing to audit."]
    if not retained(whole, whole, n_classes).known:
        return [f"Too little skill to audit: not significantly above chance on whole images ({_scores(whole)})."]
    return []


def _scores(figures: ViewFigures) -> str:
    area = "" if figures.roc_auc_macro is None else f", mean ROC-AUC {figures.roc_auc_macro:.2f}"
    return f"balanced accuracy {figures.balanced_accuracy:.2f}{area}"
