"""Differences between two recipes in plain words. A claim takes an interval that leaves out zero."""

from collections.abc import Mapping
from typing import Any, Literal

Verdict = Literal["better", "worse", "mixed", "open", "unknown"]
"""`mixed`: better by one figure and worse by another. `open`: may be due to chance. `unknown`: no interval."""
Difference = Mapping[str, Any]
"""`difference`, None if undefined, and `interval`, None for too few patients."""


def judged(subject: str, differences: Mapping[str, Difference]) -> str:
    """Return sentences on whether `subject` beats what it is compared with.

    By accuracy and, where it is defined, by macro ROC-AUC: either may be conclusive where the other is not.
    """
    found = differences
    sentences = [
        _judged(subject, found["accuracy"], "{:.1f} percentage points of accuracy", "{:+.1f} to {:+.1f}", scale=100)
    ]
    if found["macro_roc_auc"]["difference"] is not None:
        area = _judged(
            capitalised(subject),
            found["macro_roc_auc"],
            "{:.3f} of macro ROC-AUC",
            "{:+.3f} to {:+.3f}",
            scale=1,
        )
        sentences.append(area)
    return " ".join(sentences)


def capitalised(text: str) -> str:
    """Return `text` as a sentence begins; `str.capitalize` would lower the rest of it."""
    return text[:1].upper() + text[1:]


def verdict(differences: Mapping[str, Difference]) -> Verdict:
    """Return what accuracy and macro ROC-AUC say together."""
    intervals = [found for name in ("accuracy", "macro_roc_auc") if (found := differences[name]["interval"])]
    is_better, is_worse = any(low > 0 for low, _ in intervals), any(high < 0 for _, high in intervals)
    if not intervals:
        return "unknown"
    if is_better and is_worse:
        return "mixed"
    return "better" if is_better else "worse" if is_worse else "open"


def _judged(subject: str, difference: Difference, what: str, ends: str, scale: float) -> str:
    apart = what.format(scale * abs(difference["difference"]))
    if difference["interval"] is None:
        return f"difference of {apart}; too few patients for an interval."
    low, high = (scale * bound for bound in difference["interval"])
    interval = f"interval of the difference {ends.format(low, high)}"
    if low > 0:
        return f"{subject} is better by {apart} ({interval})."
    if high < 0:
        return f"{subject} is WORSE by {apart} ({interval})."
    return f"{subject} is not better: the difference of {apart} may be due to chance ({interval})."
