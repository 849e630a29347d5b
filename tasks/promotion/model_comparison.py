"""Paired differences between a candidate and the champion on the same test images, by bootstrap over patients."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.seeds import derive_seed
from coronet_core.metrics.bootstrap import PairedDifference, paired_differences
from coronet_core.metrics.scores import figures_of
from coronet_core.support.errors import DataError
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.tables import ranking_scores
from tasks.runtime.params.schema import Params


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences between a candidate and the champion."""

    champion: int
    """Version number of the champion."""
    differences: Mapping[str, PairedDifference]
    """Candidate minus champion, by name of the figure; above zero the candidate is better."""
    notes: tuple[str, ...]
    """The images of the comparison, as sentences."""


def compare(
    candidate: SplitPredictions, champion: SplitPredictions, version: int, seen: Collection[str], params: Params
) -> Comparison:
    """Compare predictions of the same test images; `version` is the champion's.

    Patients that the champion was trained on (`seen`, by their ids or those of their images) are excluded with their
    whole group, as they would favour the champion. Raises DataError for predictions of different images, or if no
    patient remains.
    """
    groups = candidate.groups
    known = candidate.images[["image_id", "patient_id"]].isin(list(seen)).any(axis=1)
    is_seen = np.isin(groups, groups[known])
    if is_seen.all():
        raise DataError(
            f"version {version} was trained with every test patient: no comparison is possible on this split. Keep "
            "data.split and the seed from run to run, so that patients stay in their split."
        )
    notes = [f"Compared on {_count(candidate, ~is_seen)} of the test split."]
    if is_seen.any():
        notes.append(
            f"{_count(candidate, is_seen)} are excluded from the comparison: version {version} was trained with these "
            "patients."
        )
    ours = _taken(candidate, np.flatnonzero(~is_seen))
    theirs = _taken(champion, _places(ours, champion, version))
    truth = ours.truth  # for both, as a label may have been corrected since the champion's evaluation
    first, second = (figures_of(truth, one.predicted, ranking_scores(one, params.evaluate)) for one in (ours, theirs))
    differences = paired_differences(
        first,
        second,
        ours.groups,
        params.evaluate.bootstrap_replicates,
        derive_seed(params.seed, "promotion"),
        params.evaluate.confidence,
    )
    return Comparison(champion=version, differences=differences, notes=tuple(notes))


def _places(candidate: SplitPredictions, champion: SplitPredictions, version: int) -> NDArray[np.int64]:
    """Return the positions of the candidate's images in the champion's predictions."""
    places = {image: place for place, image in enumerate(champion.images["image_id"])}
    images = candidate.images["image_id"].tolist()
    if missing := [image for image in images if image not in places]:
        raise DataError(f"version {version} has no prediction for {missing[0]}: it was evaluated on other images.")
    return np.array([places[image] for image in images], dtype=np.int64)


def _taken(predictions: SplitPredictions, places: NDArray[np.int64]) -> SplitPredictions:
    images, truth, logits = predictions.images.iloc[places], predictions.truth[places], predictions.logits[places]
    return replace(predictions, images=images, truth=truth, logits=logits)


def _count(predictions: SplitPredictions, chosen: NDArray[np.bool_]) -> str:
    images = predictions.images[chosen]
    return f"{len(images)} images of {images['patient_group'].nunique()} patients"
