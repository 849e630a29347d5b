"""The figures of the candidates of a comparison, on their test images and in replicates that all of them share."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES
from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.bootstrap import PairedDifference, bootstrap
from coronet_core.metrics.confusion import confusion_matrix, recalls, specificities
from coronet_core.metrics.intervals import Interval, percentile_interval, with_width
from coronet_core.metrics.repeats import Repeats, drawn_seeds, figures_by_seed, over_seeds
from coronet_core.support.errors import DataError
from tasks.evaluate.prediction_table import read_predictions
from tasks.evaluate.tables import ranking_scores
from tasks.runtime.files import nulls_for_nan, read_json
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.paths import CALIBRATION, PREDICTIONS
from tasks.studies.comparison_file import Figure

FIGURES: Final[tuple[Figure, ...]] = ("accuracy", "balanced_accuracy", "macro_roc_auc")
"""What is compared, and what a candidate may be chosen by."""

Workspaces = Sequence[Sequence[Path]]
"""The folders of a candidate: for each seed, those of its folds in order."""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What the networks of a candidate say of all test images."""

    images: pd.DataFrame
    """The images of all folds, one fold behind the other."""
    repeats: Repeats

    @classmethod
    def read(cls, folders: Workspaces, params: EvaluateParams) -> Self:
        """Read the predictions in `folders`. Raises DataError unless those of all seeds are of the same images."""
        by_seed = [[read_predictions(folder / PREDICTIONS) for folder in of_folds] for of_folds in folders]
        first = by_seed[0]
        images = pd.concat([fold.images for fold in first], ignore_index=True)
        for of_folds, found in zip(folders, by_seed, strict=True):
            if [name for fold in found for name in fold.images["image_id"]] != images["image_id"].tolist():
                raise different_images(of_folds)
        repeats = Repeats(
            truth=np.concatenate([fold.truth for fold in first]),
            folds=np.repeat(np.arange(len(first)), [len(fold.truth) for fold in first]),
            predicted=np.stack([np.concatenate([fold.predicted for fold in found]) for found in by_seed]),
            scores=np.stack([np.concatenate([ranking_scores(fold, params) for fold in found]) for found in by_seed]),
        )
        return cls(images=images, repeats=repeats)

    @property
    def groups(self) -> NDArray[np.object_]:
        """Patient groups (n,), the units of the bootstrap."""
        return self.images["patient_group"].to_numpy(dtype=object)

    def by_class(self) -> dict[str, dict[str, float]]:
        """Return `sensitivity` and `specificity` by class, means of the seeds; NaN where there are no images."""
        confusions = np.stack(
            [confusion_matrix(self.repeats.truth, one) for one in self.repeats.predicted]
        )  # (s, 3, 3)
        shares = {"sensitivity": recalls(confusions), "specificity": specificities(confusions)}  # (s, 3) each
        return {
            name: dict(zip(CLASSES, of_seeds.mean(axis=0).tolist(), strict=True)) for name, of_seeds in shares.items()
        }


def different_images(folders: Sequence[Path]) -> DataError:
    """Return the error that the folds in `folders` are tested on other images than those they are compared with."""
    return DataError(f"{folders[0]}: its test images have changed. Delete {folders[0].parent} and try again.")


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """The figures of all candidates in the same replicates: patients and seeds are drawn alike for all of them."""

    on_the_sample: dict[str, dict[str, Floats]]
    """By candidate and figure, a value for each seed (s,)."""
    drawn: dict[str, dict[str, Floats]]
    """By candidate and figure, values (replicates, s)."""
    seeds: Floats
    """Weights (replicates, s) of the seeds."""
    confidence: float

    @classmethod
    def of(cls, tested: Mapping[str, Tested], params: EvaluateParams, seed: int) -> Self:
        """Draw them for candidates that are `tested` on the same images; the same for the same `seed`."""
        statistics = {name: figures_by_seed(one.repeats) for name, one in tested.items()}
        any_of_them, n = next(iter(tested.values())), params.bootstrap_replicates
        everybody = np.ones((1, len(any_of_them.images)))
        return cls(
            on_the_sample={
                name: {figure: values[0] for figure, values in of_weights(everybody).items()}
                for name, of_weights in statistics.items()
            },
            drawn={name: bootstrap(of_weights, any_of_them.groups, n, seed) for name, of_weights in statistics.items()},
            seeds=drawn_seeds(any_of_them.repeats.n_seeds, n, seed),
            confidence=params.confidence,
        )

    def figures(self, name: str) -> dict[str, Any]:
        """Return the figures of a candidate by seed, their mean and spread, and the intervals of the means."""
        by_seed: dict[str, list[float]] = {figure: self.on_the_sample[name][figure].tolist() for figure in FIGURES}
        return summary(by_seed) | {"intervals": {figure: self._interval(name, figure) for figure in FIGURES}}

    def differences(self, name: str, other: str) -> dict[str, Any]:
        """Return by how much each figure of candidate `name` is above that of `other`, as `PairedDifference`."""
        found = {}
        for figure in FIGURES:
            on_the_sample = self.on_the_sample[name][figure] - self.on_the_sample[other][figure]
            drawn = over_seeds(self.drawn[name][figure] - self.drawn[other][figure], self.seeds)
            found[figure] = asdict(PairedDifference.of(float(on_the_sample.mean()), drawn, self.confidence))
        differences: dict[str, Any] = nulls_for_nan(found)
        return differences

    def _interval(self, name: str, figure: Figure) -> Interval | None:
        return with_width(percentile_interval(over_seeds(self.drawn[name][figure], self.seeds), self.confidence))


def validation_figures(folders: Workspaces) -> dict[str, Any]:
    """Return the figures on validation images, each the mean of the folds: by seed, their mean and spread."""
    by_seed: dict[str, list[float]] = {figure: [] for figure in FIGURES}
    for of_folds in folders:
        found = [read_json(folder / CALIBRATION)["figures"] for folder in of_folds]
        for figure, values in by_seed.items():
            known = [fold[figure] for fold in found]
            values.append(float("nan") if None in known else fmean(known))
    return summary(by_seed)


def summary(by_seed: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return values by seed with their mean and sample standard deviation, which one seed does not have."""
    return {
        "by_seed": dict(by_seed),
        "mean": {figure: fmean(values) for figure, values in by_seed.items()},
        "sd": {figure: stdev(values) if len(values) > 1 else None for figure, values in by_seed.items()},
    }
