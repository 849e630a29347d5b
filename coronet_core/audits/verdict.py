"""Whether the accuracy of a network is that of reading lungs, in a form that people and a promotion gate can read.

Four rules, each about a share of the skill on whole images (`Retained`). Where its two measures differ, the one that
speaks against the network counts.

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

from coronet_core.audits.masking import View
from coronet_core.audits.skill import Retained, ViewFigures, retained


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


def judge(network: Mapping[View, ViewFigures], source: ViewFigures | None, n_classes: int, limits: Limits) -> Verdict:
    """Return the verdict on a `network` by its figures on each view of a test split with `n_classes` classes.

    `source` holds the figures of a classifier that knows the source alone, None if there is one source.
    """
    whole = network["as_is"]
    findings, not_checked = [], []
    if not retained(whole, whole, n_classes).known:
        findings.append(
            "Whole images are told no better than by chance: there is no skill whose origin could be audited."
        )
    left = {view: retained(figures, whole, n_classes) for view, figures in network.items()}
    findings += _too_much(left["lungs_masked"], limits.max_retained_skill, "with the lungs masked")
    findings += _too_much(left["only_border"], limits.max_retained_skill, "by the border of the images alone")
    findings += _too_little(left["borders_and_text_masked"], limits.min_kept_skill)
    if source is None:
        not_checked.append("All images have one source: it cannot tell the class.")
    else:
        by_source = retained(source, whole, n_classes)
        findings += _too_much(by_source, limits.max_source_skill, "by the source's name alone, without any image,")
    return Verdict(passed=not findings, findings=findings, not_checked=not_checked, limits=limits)


def _too_much(left: Retained, limit: float, how: str) -> list[str]:
    share = max(left.known, default=0.0)
    if share <= limit:
        return []
    return [f"{share:.0%} of the skill is had {how}: at most {limit:.0%} is allowed."]


def _too_little(left: Retained, limit: float) -> list[str]:
    share = min(left.known, default=1.0)
    if share >= limit:
        return []
    return [f"{share:.0%} of the skill is left with borders and text masked: at least {limit:.0%} is wanted."]
