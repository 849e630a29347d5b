"""Figures of two runs, compared."""

import pytest

from tasks.studies.differences import Difference, differences

METRICS = {
    "accuracy": 0.5,
    "images": 8,
    "roc_auc": {"macro": None},
    "confusion_matrix": [[1, 2], [3, 4]],
    "warnings": [],
}


def test_the_same_figures_do_not_differ() -> None:
    assert differences(METRICS, METRICS, 0.0) == []


@pytest.mark.parametrize(
    ("change", "name", "expected", "found"),
    [
        ({"accuracy": 0.5 + 1e-12}, "accuracy", 0.5, 0.5 + 1e-12),
        ({"confusion_matrix": [[1, 2], [4, 3]]}, "confusion_matrix.1.0", 3, 4),
        ({"roc_auc": {"macro": 0.0}}, "roc_auc.macro", None, 0.0),
        ({"warnings": ["few images"]}, "warnings.0", None, "few images"),
        ({"kappa": 0.1}, "kappa", None, 0.1),
    ],
)
def test_what_differs_is_named_with_both_figures(
    change: dict[str, object], name: str, expected: object, found: object
) -> None:
    assert Difference(name=name, expected=expected, found=found) in differences(METRICS, METRICS | change, 0.0)


@pytest.mark.parametrize(("tolerance", "n_differences"), [(0.0, 1), (0.009, 1), (0.011, 0)])
def test_numbers_may_be_so_far_apart(tolerance: float, n_differences: int) -> None:
    assert len(differences(METRICS, METRICS | {"accuracy": 0.51}, tolerance)) == n_differences


def test_a_figure_that_is_missing_differs() -> None:
    (difference,) = differences(METRICS, {key: value for key, value in METRICS.items() if key != "accuracy"}, 1.0)
    assert (difference.name, difference.expected, difference.found) == ("accuracy", 0.5, None)
