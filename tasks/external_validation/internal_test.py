"""The figures of the model on its own test split, beside those on images from elsewhere."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from coronet_core.common.seeds import derive_seed
from coronet_core.metrics.bootstrap import PairedDifference, bootstrap, estimate
from coronet_core.metrics.intervals import with_width
from coronet_core.metrics.scores import figures_of
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.prediction_table import read_predictions
from tasks.evaluate.tables import ranking_scores
from tasks.external_validation.tested_model import TestedModel
from tasks.runtime.files import json_object, nulls_for_nan
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.paths import METRICS, PREDICTIONS

STAGE: Final = "evaluate"
FIGURES: Final = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "roc_auc.macro": "Macro ROC-AUC",
}
MEANS: Final = ("balanced_accuracy", "roc_auc.macro")
"""Means over the classes that have images: comparable only for the same classes."""
BY_CLASS: Final = {"sensitivity": "Sensitivity", "specificity": "Specificity", "roc_auc": "ROC-AUC"}
SHARES: Final = {
    "abstention.abstained": "Needs a human reader",
    "abstention.coverage": "Prediction sets with the true class",
    "out_of_distribution.all": "Out of distribution",
}
ECE: Final = "calibration.after.ece"
TITLES: Final = (
    FIGURES
    | {f"{name}.{label}": f"{title}, {DISPLAY_NAMES[label]}" for name, title in BY_CLASS.items() for label in CLASSES}
    | SHARES
    | {ECE: "Calibration error (ECE)"}
)
"""Of all figures that are compared."""
NOT_FOUND: Final = (
    "There is nothing to compare with: the figures of the model's own test split are neither in this project, nor in "
    "DVC's cache or remote, nor in MLflow."
)
NO_PREDICTIONS: Final = (
    "Differences have no intervals: the figures of the model's own test split are available, its predictions are not."
)


@dataclass(frozen=True, kw_only=True)
class InternalTest:
    """What is recorded of the model on its own test split."""

    metrics: dict[str, Any]
    """The content of `reports/metrics.json`."""
    predictions: SplitPredictions | None

    @classmethod
    def of(cls, tested: TestedModel) -> Self | None:
        """Find what the run of `tested` has recorded; None if its figures cannot be found."""
        metrics = tested.recorded(METRICS, STAGE)
        if metrics is None:
            return None
        predictions = tested.recorded(PREDICTIONS, STAGE)
        return cls(
            metrics=json_object(metrics, METRICS),
            predictions=None if predictions is None else read_predictions(io.BytesIO(predictions)),
        )


def figures_beside(
    metrics: Mapping[str, Any],
    predictions: SplitPredictions,
    internal: InternalTest | None,
    params: EvaluateParams,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Return the main figures of `predictions`, the internal ones, and by how much the former are above the latter.

    `metrics` are all figures of `predictions`. Without `internal` there is nothing beside them; without its predictions
    differences have no interval. Both test sets are drawn independently of each other in the bootstrap.
    """
    others = None if internal is None else internal.metrics
    drawn = None if internal is None else internal.predictions
    differences = {} if drawn is None else _differences(predictions, drawn, params, seed)
    found = {name: _both(metrics, others, name) | differences.get(name, {}) for name in TITLES}
    if others is not None and _classes(metrics) != _classes(others):
        for name in MEANS:
            found[name] |= {"difference": None, "interval": None}
    return found


def _classes(metrics: Mapping[str, Any]) -> set[str]:
    return {label for label, value in metrics["sensitivity"].items() if value is not None}


def notes_on(internal: InternalTest | None) -> list[str]:
    """Return sentences on what cannot be compared."""
    if internal is None:
        return [NOT_FOUND]
    return [NO_PREDICTIONS] if internal.predictions is None else []


def conclusions(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return sentences on whether the model does worse on these images than on the internal ones.

    By the figures that the mix of classes does not change.
    """
    return [_conclusion(figures[name]) for name in MEANS]


def _differences(
    external: SplitPredictions, internal: SplitPredictions, params: EvaluateParams, seed: int
) -> dict[str, dict[str, Any]]:
    of_each = [figures_of(one.truth, one.predicted, ranking_scores(one, params)) for one in (external, internal)]
    values = [estimate(one, len(of.truth)) for one, of in zip(of_each, (external, internal), strict=True)]
    drawn = [
        bootstrap(one, of.groups, params.bootstrap_replicates, derive_seed(seed, name))
        for one, of, name in zip(of_each, (external, internal), ("external", "internal"), strict=True)
    ]
    found = {}
    for name in values[0]:
        apart = drawn[0][name] - drawn[1][name]
        one = PairedDifference.of(values[0][name] - values[1][name], apart, params.confidence)
        found[name] = asdict(replace(one, interval=with_width(one.interval)))
    known: dict[str, dict[str, Any]] = nulls_for_nan(found)
    return known


def _both(metrics: Mapping[str, Any], internal: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    value, interval = _value_and_interval(metrics, name)
    other, other_interval = (None, None) if internal is None else _recorded(internal, name)
    return {
        "title": TITLES[name],
        "external": value,
        "external_interval": interval,
        "internal": other,
        "internal_interval": other_interval,
        "difference": None if value is None or other is None else value - other,
        "interval": None,
    }


def _recorded(internal: Mapping[str, Any], name: str) -> tuple[float | None, Any]:
    try:
        return _value_and_interval(internal, name)
    except KeyError:  # an earlier version did not report it
        return None, None


def _value_and_interval(metrics: Mapping[str, Any], name: str) -> tuple[float | None, Any]:
    """Return a figure of `reports/metrics.json` by its dotted name, with its interval, Wilson's where there is one."""
    *sections, last = name.split(".")
    holder = _at(metrics, sections)
    value = holder[last]
    if isinstance(value, Mapping):  # a proportion
        return value["share"], value["interval"]
    wilson = metrics.get(f"{(*sections, last)[0]}_interval")
    if wilson is not None:
        return value, wilson[last] if sections else wilson
    bootstrapped = _at(metrics["intervals"], sections) if name != ECE else {}
    return value, bootstrapped.get(last)


def _at(tree: Mapping[str, Any], sections: list[str]) -> Mapping[str, Any]:
    for section in sections:
        tree = tree[section]
    return tree


def _conclusion(found: Mapping[str, Any]) -> str:
    """Return a sentence on whether a figure is another here. A claim takes an interval that leaves out zero."""
    title, difference, interval = found["title"], found["difference"], found["interval"]
    if difference is None:
        return f"{title} cannot be compared: the internal test images are of other classes."
    both = f"{found['external']:.3f} here and {found['internal']:.3f} on the internal test images"
    if interval is None:
        return f"{title} is {both}; there is no interval of the difference."
    ends = f"difference {difference:+.3f}, interval {interval[0]:+.3f} to {interval[1]:+.3f}"
    if interval[0] <= 0 <= interval[1]:
        return f"{title} is {both}: the difference may be due to chance ({ends})."
    return f"{title} is {'lower' if difference < 0 else 'higher'} here: {both} ({ends})."
