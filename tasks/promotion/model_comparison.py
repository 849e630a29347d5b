"""Paired differences between two runs on the same test images, by bootstrap over patients."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.common.seeds import derive_seed
from coronet_core.metrics.bootstrap import PairedDifference, Statistics, estimate, paired_differences
from coronet_core.metrics.calibration import calibration_error
from coronet_core.metrics.scores import figures_of
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.tables import ranking_scores
from tasks.runtime.params.schema import Params

CALIBRATED: Final = [f"calibrated_{label}" for label in CLASSES]
"""Columns of recorded predictions. Those that were made again for a comparison have none."""
FEWEST_PATIENTS: Final = 5
"""With fewer no difference has an interval: where two models agree on these, the bootstrap would call that certain."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences between a candidate and another run, such as the champion's."""

    other: str
    """What the other one is called, such as `version 3`."""
    values: Mapping[str, tuple[float, float]]
    """The candidate's and the other's, by name of the figure."""
    differences: Mapping[str, PairedDifference]
    """Candidate minus the other, by name of the figure; above zero the candidate is better, but for its error."""
    notes: tuple[str, ...]
    """The images of the comparison, as sentences."""
    classes_left_out: tuple[ClassName, ...] = ()
    """Classes of the test split of which no image could be compared."""


def compare(
    candidate: SplitPredictions, other: SplitPredictions, name: str, seen: Collection[str], params: Params
) -> Comparison:
    """Compare predictions of the same test images; `name` is what the other run is called.

    Patients that the other was trained on (`seen`, by their ids or those of their images) are excluded with their
    whole group, as they would favour it. Figures are those of `figures_of`, of the classes that remain, and, if both
    tables have calibrated probabilities, `calibration_error`. Raises DataError for predictions of different images, or
    if no patient remains.
    """
    groups = candidate.groups
    known = candidate.images[["image_id", "patient_id"]].isin(list(seen)).any(axis=1)
    is_seen = np.isin(groups, groups[known])
    if is_seen.all():
        raise DataError(
            f"{name} was trained with every test patient: no comparison is possible on this split. Keep "
            "data.split and the seed from run to run, so that patients stay in their split."
        )
    notes = [f"Compared on {_count(candidate, ~is_seen)} of the test split."]
    if is_seen.any():
        notes.append(f"Excluded from the comparison: {_count(candidate, is_seen)} that {name} was trained with.")
    ours = _taken(candidate, np.flatnonzero(~is_seen))
    theirs = _taken(other, _places(ours, other, name))
    truth = ours.truth  # for both, as a label may have been corrected since the other's evaluation
    is_calibrated = all(set(CALIBRATED) <= set(one.images.columns) for one in (ours, theirs))
    first, second = (_figures(one, truth, params, is_calibrated=is_calibrated) for one in (ours, theirs))
    differences = paired_differences(
        first,
        second,
        ours.groups,
        params.evaluate.bootstrap_replicates,
        derive_seed(params.seed, "promotion"),
        params.evaluate.confidence,
    )
    if len(np.unique(ours.groups)) < FEWEST_PATIENTS:
        differences = {figure: replace(found, interval=None) for figure, found in differences.items()}
    mine, its = (estimate(one, len(truth)) for one in (first, second))
    values = {figure: (mine[figure], its[figure]) for figure in differences}
    left_out = tuple(CLASSES[i] for i in np.setdiff1d(candidate.truth, truth))
    return Comparison(other=name, values=values, differences=differences, notes=tuple(notes), classes_left_out=left_out)


def _figures(
    predictions: SplitPredictions, truth: NDArray[np.int64], params: Params, *, is_calibrated: bool
) -> Statistics:
    figures = figures_of(truth, predictions.predicted, ranking_scores(predictions, params.evaluate))
    if not is_calibrated:
        return figures
    error = calibration_error(predictions.images[CALIBRATED].to_numpy(np.float64), truth)
    return lambda weights: figures(weights) | error(weights)


def _places(candidate: SplitPredictions, other: SplitPredictions, name: str) -> NDArray[np.int64]:
    """Return the positions of the candidate's images in the other's predictions."""
    places = {image: place for place, image in enumerate(other.images["image_id"])}
    images = candidate.images["image_id"].tolist()
    if missing := [image for image in images if image not in places]:
        raise DataError(f"{name} has no prediction for {missing[0]}: it was evaluated on other images.")
    return np.array([places[image] for image in images], dtype=np.int64)


def _taken(predictions: SplitPredictions, places: NDArray[np.int64]) -> SplitPredictions:
    images, truth, logits = predictions.images.iloc[places], predictions.truth[places], predictions.logits[places]
    return replace(predictions, images=images, truth=truth, logits=logits)


def _count(predictions: SplitPredictions, chosen: NDArray[np.bool_]) -> str:
    images = predictions.images[chosen]
    patients = counted(images["patient_group"].nunique(), "patient")
    return f"{counted(len(images), 'image')} of {patients}"
