"""Recipes that were trained several times, with different seeds, on the same folds: their figures by seed.

Two things are chance in such a figure: which patients there are, and how the trainings went. A replicate of the
bootstrap (bootstrap.py) draws both: patient groups, and seeds. Everything that has been trained with a seed is drawn as
one, in all folds together, because initial weights and the order of the images come from the seed.

Seeds are few, and n values drawn n times with replacement spread too little: the variance of their mean is (n - 1) / n
of what it should be, two thirds for three seeds. n - 1 draws have the right one (Rao and Wu 1988, Resampling inference
with complex survey data). With a single seed there is nothing to draw: intervals are of patients alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.auc import macro, rankings, roc_auc
from coronet_core.metrics.bootstrap import Statistics
from coronet_core.metrics.confusion import balanced_accuracy, overall_figures, weighted_confusions

SEED_STREAM: Final = 1
"""Apart from the stream that patients are drawn from with the same seed."""


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Predictions for images that are each tested in one fold, by s trainings of the same recipe."""

    truth: NDArray[np.int64]
    """Class indices (n,)."""
    folds: NDArray[np.int64]
    """The fold in which each image is tested (n,)."""
    predicted: NDArray[np.int64]
    """Class indices (s, n)."""
    scores: Floats
    """What areas rank the images by, (s, n, 3)."""

    @property
    def n_seeds(self) -> int:
        """How often the recipe was trained."""
        return len(self.predicted)


def figures_by_seed(repeats: Repeats) -> Statistics:
    """Return the function from weights (r, n) to the figures of each seed, (r, s).

    `accuracy` and `balanced_accuracy` count the test images of all folds together. `macro_roc_auc` is the mean of the
    folds' areas: scores of the networks of different folds are not comparable, so no ranking holds images of two folds.
    Means over classes are NaN for weights that leave out a class that is there, be it in one fold alone.
    """
    areas = [_fold_areas(repeats, fold) for fold in np.unique(repeats.folds)]
    there = np.unique(repeats.truth)

    def figures(weights: Floats) -> dict[str, Floats]:
        confusions = np.stack(
            [weighted_confusions(repeats.truth, predicted, weights) for predicted in repeats.predicted], axis=1
        )  # (r, s, 3, 3)
        is_whole = np.all(confusions.sum(axis=-1)[..., there] > 0, axis=-1)
        return {
            "accuracy": overall_figures(confusions)["accuracy"],
            "balanced_accuracy": np.where(is_whole, balanced_accuracy(confusions), np.nan),
            "macro_roc_auc": np.mean([of_fold(weights)["area"] for of_fold in areas], axis=0),
        }

    return figures


def _fold_areas(repeats: Repeats, fold: int) -> Statistics:
    """Return the function from weights (r, n) of all images to the macro ROC-AUC `area` (r, s) on those of `fold`."""
    is_in_fold = repeats.folds == fold
    truth = repeats.truth[is_in_fold]
    members = [truth == label for label in np.unique(truth)]
    ranked = [rankings(truth, scores[is_in_fold]) for scores in repeats.scores]  # by seed and class

    def area(weights: Floats) -> dict[str, Floats]:
        of_fold = weights[:, is_in_fold]
        by_class = np.stack(
            [np.stack([roc_auc(ranking, of_fold) for ranking in of_seed], axis=1) for of_seed in ranked], axis=1
        )  # (r, s, 3)
        is_whole = np.all([of_fold[:, own].sum(axis=1) > 0 for own in members], axis=0).reshape(-1, 1)
        return {"area": np.where(is_whole, macro(by_class), np.nan)}

    return area


def drawn_seeds(n_seeds: int, replicates: int, seed: int) -> Floats:
    """Return the weight of each seed in all replicates, (replicates, n_seeds); those of a replicate add up to 1.

    The draws depend on `seed` and the two numbers alone, so that two recipes trained with the same seeds are paired.
    """
    draws = max(1, n_seeds - 1)
    rng = np.random.default_rng([SEED_STREAM, seed])
    return rng.multinomial(draws, np.full(n_seeds, 1 / n_seeds), size=replicates) / draws


def over_seeds(values: Floats, weights: Floats) -> Floats:
    """Return the weighted means (r,) over the seeds of `values` (r, s), by `weights` (r, s) from `drawn_seeds`."""
    return np.asarray((values * weights).sum(axis=1))
