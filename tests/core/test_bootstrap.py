"""The bootstrap over patients: what it draws, and whether its intervals hold what they promise."""

import numpy as np
import pytest

from coronet_core.metrics import bootstrap as module
from coronet_core.metrics import figures_of
from coronet_core.metrics.bootstrap import bootstrap, estimate, paired_differences, replicate_weights
from coronet_core.metrics.intervals import percentile_interval, with_width


def weights_of(groups: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    return np.concatenate(list(replicate_weights(groups, replicates, seed)))


def mean_of(values: np.ndarray) -> module.Statistics:
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_whole_groups_are_drawn_as_many_as_there_are() -> None:
    groups = np.array(["a", "b", "a", "c", "b", "b"])
    weights = weights_of(groups, 500, seed=0)
    assert weights.shape == (500, 6)
    for group in "abc":
        of_group = weights[:, groups == group]
        assert (of_group == of_group[:, :1]).all()  # an image counts as often as its patient
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.1)


def test_replicates_are_those_of_the_seed_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = np.arange(20) // 2
    whole = weights_of(groups, 50, seed=3)
    monkeypatch.setattr(module, "IMAGES_AT_ONCE", 7 * 20)
    assert [len(part) for part in replicate_weights(groups, 50, 3)] == [7] * 7 + [1]
    np.testing.assert_array_equal(weights_of(groups, 50, seed=3), whole)
    assert (weights_of(groups, 50, seed=4) != whole).any()


def test_the_interval_of_a_mean_is_that_of_the_central_limit_theorem() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    drawn = bootstrap(mean_of(values), np.arange(400), 4000, seed=1)["mean"]
    interval = percentile_interval(drawn, 0.95)
    half_width = 1.96 * values.std() / 20
    assert interval == pytest.approx((values.mean() - half_width, values.mean() + half_width), abs=0.02)


LAW_SCHOOLS = np.array(
    [
        [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594],
        [3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96],
    ]
)
"""Efron and Tibshirani 1993, Table 3.1: mean LSAT and GPA of 15 schools."""


def test_the_published_example_of_law_schools() -> None:
    """Efron and Tibshirani 1993, sec. 6.3: a correlation of 0.776 with a standard error of 0.132."""

    def correlation(weights: np.ndarray) -> dict[str, np.ndarray]:
        shares = weights / weights.sum(axis=1, keepdims=True)
        x, y = (values - (shares @ values)[:, None] for values in LAW_SCHOOLS)
        return {"r": (shares * x * y).sum(1) / np.sqrt((shares * x * x).sum(1) * (shares * y * y).sum(1))}

    assert estimate(correlation, 15)["r"] == pytest.approx(0.776, abs=5e-4)
    assert bootstrap(correlation, np.arange(15), 3200, seed=0)["r"].std(ddof=1) == pytest.approx(0.132, abs=0.006)


def test_intervals_hold_the_truth_as_often_as_promised_only_if_patients_are_drawn_whole() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    held = {"patients": 0, "images": 0}
    for trial in range(200):
        values = np.repeat(rng.normal(0, 1, 40), 5) + rng.normal(0, 0.3, 200)  # the mean is 0
        for unit, drawn_by in (("patients", groups), ("images", np.arange(200))):
            interval = percentile_interval(bootstrap(mean_of(values), drawn_by, 300, trial)["mean"], 0.9)
            assert interval is not None
            held[unit] += interval[0] <= 0 <= interval[1]
    assert 0.83 <= held["patients"] / 200 <= 0.95
    assert held["images"] / 200 < 0.7


def test_a_figure_that_most_replicates_lack_has_no_interval() -> None:
    drawn = np.arange(100.0)
    assert percentile_interval(np.where(drawn < 8, np.nan, drawn), 0.9) is not None
    assert percentile_interval(np.where(drawn < 9, np.nan, drawn), 0.9) is None
    assert percentile_interval(np.array([]), 0.9) is None


def test_an_interval_without_width_is_none() -> None:
    assert with_width((0.9, 0.95)) == (0.9, 0.95)
    assert with_width((1.0, 1.0)) is None
    assert with_width((1.0 - 1e-16, 1.0)) is None
    assert with_width(None) is None


@pytest.mark.parametrize("patients", [20, 60, 400])
@pytest.mark.parametrize(("of_class", "has_interval"), [(2, False), (3, True)])
def test_a_class_has_an_interval_from_three_patients_on_whatever_is_drawn(
    patients: int, of_class: int, *, has_interval: bool
) -> None:
    is_of_class = (np.arange(patients) < of_class).astype(float)

    def share(weights: np.ndarray) -> dict[str, np.ndarray]:
        n = weights @ is_of_class
        return {"share": np.where(n > 0, 0.5, np.nan)}

    for seed in range(30):
        drawn = bootstrap(share, np.arange(patients), 1000, seed)["share"]
        assert (percentile_interval(drawn, 0.95) is not None) == has_interval


def test_figures_that_need_a_class_have_no_interval_with_two_patients_of_it() -> None:
    groups = np.arange(60)
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 60)
    for n_covid, has_interval in ((2, False), (3, True)):
        truth = np.array([2] * n_covid + [0] * 28 + [1] * (32 - n_covid))
        drawn = bootstrap(figures_of(truth, scores.argmax(axis=1), scores), groups, 1000, seed=0)
        for name in ("roc_auc.covid19", "pr_auc.macro", "sensitivity.covid19", "balanced_accuracy"):
            assert (percentile_interval(drawn[name], 0.95) is not None) == has_interval
        assert percentile_interval(drawn["roc_auc.healthy"], 0.95) is not None
        assert percentile_interval(drawn["mcc"], 0.95) is not None


def test_the_better_model_is_told_from_the_worse_on_the_same_images() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    sure, unsure = (np.eye(3)[truth] * edge + rng.random((300, 3)) for edge in (0.9, 0.5))
    first, second = (figures_of(truth, scores.argmax(axis=1), scores) for scores in (sure, unsure))
    found = paired_differences(first, second, np.arange(300) // 2, 500, seed=0, confidence=0.95)["roc_auc.macro"]
    assert found.difference == estimate(first, 300)["roc_auc.macro"] - estimate(second, 300)["roc_auc.macro"]
    assert found.interval is not None
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.share_above_zero > 0.99
    reverse = paired_differences(second, first, np.arange(300) // 2, 500, seed=0, confidence=0.95)["roc_auc.macro"]
    assert reverse.share_above_zero < 0.01
    assert reverse.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_a_model_does_not_differ_from_itself() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 60), rng.random((60, 3))
    model = figures_of(truth, scores.argmax(axis=1), scores)
    for found in paired_differences(model, model, np.arange(60), 50, seed=0, confidence=0.9).values():
        assert (found.difference, found.interval, found.share_above_zero) == (0, (0, 0), 0)
