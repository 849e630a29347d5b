"""Differences between two recipes in plain words. A claim takes an interval that leaves out zero."""

from collections.abc import Mapping
from typing import Any, Literal

Verdict = Literal["better", "worse", "mixed", "open", "unknown"]
"""`mixed`: better by one figure and worse by another. `open`: may be due to chance. `unknown`: no interval."""
Difference = Mapping[str, Any]
"""`difference`, None if undefined, and `interval`, None for too few patients."""


def judged(whose: str, differences: Mapping[str, Difference]) -> str:
    """Return sentences on how the figures of a recipe differ from those of the one that it is compared with.

    `whose` they are is `its` or such as `CoroNet's`.

    By accuracy and, where it is defined, by macro ROC-AUC: either may be conclusive where the other is not.
    """
    sentences = [_accuracy(whose, differences["accuracy"])]
    if differences["macro_roc_auc"]["difference"] is not None:
        sentences.append(_area(capitalised(whose), differences["macro_roc_auc"]))
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


def _accuracy(whose: str, found: Difference) -> str:
    size = f"{100 * abs(found['difference']):.1f}"
    ends = None if found["interval"] is None else "{:+.1f} to {:+.1f}".format(*(100 * end for end in found["interval"]))
    return _sentence(f"{whose} accuracy", size, " percentage points", found, ends)


def _area(whose: str, found: Difference) -> str:
    ends = None if found["interval"] is None else "{:+.3f} to {:+.3f}".format(*found["interval"])
    return _sentence(f"{whose} macro ROC-AUC", f"{abs(found['difference']):.3f}", "", found, ends)


def _sentence(figure: str, size: str, unit: str, found: Difference, ends: str | None) -> str:
    is_same = float(size) == 0  # rounded
    direction = "lower" if found["difference"] < 0 else "higher"
    apart = f"{figure} is the same" if is_same else f"{figure} is {size}{unit} {direction}"
    if ends is None:
        return f"{apart}; too few patients for an interval."
    low, high = found["interval"]
    by_chance = ", which may be due to chance" if low <= 0 <= high and not is_same else ""
    return f"{apart}{by_chance} (interval of the difference {ends})."
