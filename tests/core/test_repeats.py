"""Recipes trained several times: figures by seed, and intervals over patients and seeds."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from coronet_core.metrics.bootstrap import bootstrap, paired_differences, replicate_weights
from coronet_core.metrics.intervals import percentile_interval
from coronet_core.metrics.repeats import Repeats, drawn_seeds, figures_by_seed, over_seeds
from coronet_core.metrics.scores import figures_of

N_IMAGES = 90


def repeats(n_seeds: int, edge: float, seed: int = 0) -> Repeats:
    rng = np.random.default_rng([seed, n_seeds])
    truth = np.arange(N_IMAGES) % 3
    scores = rng.normal(0, 1, (n_seeds, N_IMAGES, 3)) + edge * np.eye(3)[truth]
    scores = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    folds = np.arange(N_IMAGES) // 3 % 2
    return Repeats(truth=truth, folds=folds, predicted=scores.argmax(axis=-1), scores=scores)


def by_hand(one: Repeats, rows: np.ndarray, seed: int) -> dict[str, float]:
    """The figures of one seed on the images in `rows`, which may name an image several times."""
    truth, predicted = one.truth[rows], one.predicted[seed, rows]
    areas = [
        roc_auc_score(one.truth[own], one.scores[seed, own], multi_class="ovr", average="macro")
        for own in (rows[one.folds[rows] == fold] for fold in np.unique(one.folds))
    ]
    return {
        "accuracy": accuracy_score(truth, predicted),
        "balanced_accuracy": balanced_accuracy_score(truth, predicted),
        "macro_roc_auc": float(np.mean(areas)),
    }


def test_the_figures_of_each_seed_are_those_of_scikit_learn_on_the_images_drawn() -> None:
    one, groups = repeats(3, edge=1.0), np.arange(N_IMAGES) // 2
    weights = np.concatenate(list(replicate_weights(groups, 20, seed=5)))
    found = figures_by_seed(one)(weights)
    for replicate, counts in enumerate(weights):
        rows = np.repeat(np.arange(N_IMAGES), counts.astype(int))
        for seed in range(3):
            for name, value in by_hand(one, rows, seed).items():
                assert found[name][replicate, seed] == pytest.approx(value), name


def test_the_interval_is_that_of_a_bootstrap_image_by_image() -> None:
    """Both candidates see the same patients and the same seeds in a replicate."""
    first, second = repeats(3, edge=1.0, seed=1), repeats(3, edge=0.6, seed=2)
    groups, replicates = np.arange(N_IMAGES) // 2, 20
    ours, theirs = (bootstrap(figures_by_seed(one), groups, replicates, seed=9) for one in (first, second))
    drawn = drawn_seeds(3, replicates, seed=9)
    found = {name: over_seeds(ours[name] - theirs[name], drawn) for name in ours}
    weights = np.concatenate(list(replicate_weights(groups, replicates, seed=9)))
    expected: dict[str, list[float]] = {name: [] for name in found}
    for counts, seeds in zip(weights, drawn, strict=True):
        rows = np.repeat(np.arange(N_IMAGES), counts.astype(int))
        chosen = np.repeat(np.arange(3), (2 * seeds).astype(int))
        assert len(chosen) == 2
        for name, of_name in expected.items():
            apart = [by_hand(first, rows, seed)[name] - by_hand(second, rows, seed)[name] for seed in chosen]
            of_name.append(float(np.mean(apart)))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values)
        assert percentile_interval(found[name], 0.95) == pytest.approx(percentile_interval(np.array(values), 0.95))


def test_with_one_seed_the_interval_is_that_over_patients() -> None:
    first, second, groups = repeats(1, edge=1.0, seed=1), repeats(1, edge=0.6, seed=2), np.arange(N_IMAGES) // 2
    known = paired_differences(
        *(figures_of(one.truth, one.predicted[0], one.scores[0]) for one in (first, second)), groups, 500, 3, 0.9
    )["accuracy"]
    ours, theirs = (bootstrap(figures_by_seed(one), groups, 500, 3)["accuracy"] for one in (first, second))
    assert percentile_interval(over_seeds(ours - theirs, drawn_seeds(1, 500, 3)), 0.9) == known.interval


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_seeds_alone_spread_the_mean_as_they_should(n_seeds: int) -> None:
    """The variance of a mean of n independent values is s^2 / n: exactly, over all draws with their probabilities."""
    values = np.array([0.8, 0.9, 0.82, 0.7, 0.95])[:n_seeds]
    draws = [values[list(chosen)].mean() for chosen in itertools.product(range(n_seeds), repeat=n_seeds - 1)]
    assert np.var(draws) == pytest.approx(values.var(ddof=1) / n_seeds)
    drawn = over_seeds(np.broadcast_to(values, (100_000, n_seeds)), drawn_seeds(n_seeds, 100_000, seed=0))
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.001)
    assert drawn.var() == pytest.approx(np.var(draws), rel=0.03)


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_the_interval_holds_the_truth_at_least_as_often_as_it_says(spread: float) -> None:
    """Two equal recipes whose trainings differ by chance, many times over: 8 seeds, 120 patients of an image each."""
    rng, held, studies, replicates = np.random.default_rng(4), 0, 150, 200
    for study in range(studies):
        shares = np.clip(0.75 + spread * rng.normal(0, 1, (2, 8, 1)), 0.05, 0.95)
        hits = (rng.random((2, 8, 120)) < shares).astype(np.float64)
        weights = np.concatenate(list(replicate_weights(np.arange(120), replicates, study)))
        apart = weights @ (hits[0] - hits[1]).T / 120  # (replicates, seeds)
        interval = percentile_interval(over_seeds(apart, drawn_seeds(8, replicates, study)), 0.9)
        assert interval is not None
        held += interval[0] <= 0 <= interval[1]
    assert held / studies >= 0.85


def test_a_fold_that_loses_a_class_leaves_the_area_undefined() -> None:
    one = repeats(2, edge=1.0)
    weights = np.ones((2, N_IMAGES))
    weights[1, (one.truth == 2) & (one.folds == 1)] = 0
    found = figures_by_seed(one)(weights)
    assert np.isfinite(found["macro_roc_auc"]).tolist() == [[True, True], [False, False]]
    assert np.isfinite(found["balanced_accuracy"]).all(), "the class is still in the other fold"
