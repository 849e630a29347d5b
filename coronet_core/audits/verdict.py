"""Whether the accuracy of a network is that of reading lungs, in a form that people and a promotion gate can read.

Four rules, each about a share of the skill on whole images (`Retained`). Where its two measures differ, the one that
speaks against the network counts. Without skill on whole images that is surely above chance there is nothing to take a
share of: that is a finding too, and no rule applies.

    lungs_masked              at most `max_retained_skill` is left without the lungs
    only_border               at most `max_retained_skill` is left on the border alone
    borders_and_text_masked   at least `min_kept_skill` is left without the border and the text
    source                    at most `max_source_skill` is had from the name of the source, without any image

The last is about the data set rather than the network: where it fails, no test accuracy on that data says much. The
first three take the network as it is. It was trained on whole images, so a mask also costs it accuracy by being
unfamiliar: passing them is no proof that the network reads lungs alone, failing them shows that it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from coronet_core.audits.masking import View
from coronet_core.audits.skill import ViewFigures, retained

FEWEST_CLASSES: Final = 2
"""To tell apart."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Shares of skill, 0 chance and 1 that on whole images."""

    max_retained_skill: float
    max_source_skill: float
    min_kept_skill: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the rules come to."""

    passed: bool
    """Nothing was found. A rule that could not be applied is named and does not fail."""
    findings: list[str]
    """Rules that are broken, in plain sentences."""
    not_checked: list[str]
    """Rules that do not apply to these images, and why."""
    limits: Limits


@dataclass(frozen=True)
class _Rule:
    what: str
    """Goes on from 'a share of the skill'."""
    figures: ViewFigures
    at_most: float = inf
    at_least: float = -inf


def judge(network: Mapping[View, ViewFigures], source: ViewFigures | None, n_classes: int, limits: Limits) -> Verdict:
    """Return the verdict on a `network` by its figures on each view of a test split with `n_classes` classes.

    `source` holds the figures of a classifier that knows the source alone, None if there is one source.
    """
    whole = network["as_is"]
    findings, not_checked = _without_skill(whole, n_classes), []
    rules = [
        _Rule("is had with the lungs masked", network["lungs_masked"], at_most=limits.max_retained_skill),
        _Rule("is had by the border of the images alone", network["only_border"], at_most=limits.max_retained_skill),
        _Rule(
            "is left with borders and text masked", network["borders_and_text_masked"], at_least=limits.min_kept_skill
        ),
    ]
    if source is None:
        not_checked.append("All images have one source: it cannot tell the class.")
    else:
        what = "is had by the source's name alone, without any image"
        rules.append(_Rule(what, source, at_most=limits.max_source_skill))
    for rule in rules:
        shares = retained(rule.figures, whole, n_classes).known
        scored = f"({_scores(rule.figures)}; whole images: {_scores(whole)})"
        if not shares:
            not_checked.append(f"How much of the skill {rule.what}: whole images show none to take a share of.")
        elif (most := max(shares)) > rule.at_most:
            findings.append(f"{most:.0%} of the skill {rule.what} {scored}: at most {rule.at_most:.0%} is allowed.")
        elif (least := min(shares)) < rule.at_least:
            findings.append(f"{least:.0%} of the skill {rule.what} {scored}: at least {rule.at_least:.0%} is wanted.")
    return Verdict(passed=not findings, findings=findings, not_checked=not_checked, limits=limits)


def _without_skill(whole: ViewFigures, n_classes: int) -> list[str]:
    if n_classes < FEWEST_CLASSES:
        return ["All test images are of one class: nothing can be audited."]
    if not retained(whole, whole, n_classes).known:
        return [
            f"Too little skill to audit: whole images are not surely told better than by chance ({_scores(whole)})."
        ]
    return []


def _scores(figures: ViewFigures) -> str:
    area = "" if figures.roc_auc_macro is None else f", mean ROC-AUC {figures.roc_auc_macro:.2f}"
    return f"balanced accuracy {figures.balanced_accuracy:.2f}{area}"
