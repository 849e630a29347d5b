"""What differences say in words."""

import pytest

from tasks.studies.conclusions import judged, verdict


@pytest.mark.parametrize(
    ("difference", "interval", "told"),
    [
        (
            0.05,
            (0.01, 0.09),
            "CoroNet's accuracy is 5.0 percentage points higher (interval of the difference +1.0 to +9.0).",
        ),
        (
            -0.05,
            (-0.09, -0.01),
            "CoroNet's accuracy is 5.0 percentage points lower (interval of the difference -9.0 to -1.0).",
        ),
        (
            0.05,
            (-0.01, 0.09),
            "CoroNet's accuracy is 5.0 percentage points higher, which may be due to chance (interval of the",
        ),
        (-0.05, (-0.09, 0.01), "5.0 percentage points lower, which may be due to chance"),
        (0.05, (0.0, 0.1), "5.0 percentage points higher, which may be due to chance"),
        (0.0001, (-0.03, 0.03), "CoroNet's accuracy is the same (interval of the difference -3.0 to +3.0)."),
        (0.05, None, "CoroNet's accuracy is 5.0 percentage points higher; too few patients for an interval."),
    ],
)
def test_it_is_said_whether_coronet_wins(difference: float, interval: tuple[float, float] | None, told: str) -> None:
    unknown = {"difference": None, "interval": None}
    accuracy = {"difference": difference, "interval": interval}
    assert told in judged("CoroNet's", {"accuracy": accuracy, "macro_roc_auc": unknown})


def test_a_ranking_that_is_surely_worse_is_told_though_the_accuracy_may_be_chance() -> None:
    accuracy = {"difference": -0.04, "interval": (-0.105, 0.028)}
    area = {"difference": -0.034, "interval": (-0.062, -0.006)}
    assert judged("its", {"accuracy": accuracy, "macro_roc_auc": area}) == (
        "its accuracy is 4.0 percentage points lower, which may be due to chance (interval of the difference -10.5 to "
        "+2.8). Its macro ROC-AUC is 0.034 lower (interval of the difference -0.062 to -0.006)."
    )


@pytest.mark.parametrize(
    ("accuracy", "area", "expected"),
    [
        ((0.01, 0.1), (-0.1, 0.1), "better"),
        ((-0.1, 0.1), (0.01, 0.1), "better"),
        ((-0.1, -0.01), None, "worse"),
        ((0.01, 0.1), (-0.1, -0.01), "mixed"),
        ((0.0, 0.1), (-0.1, 0.0), "open"),
        (None, None, "unknown"),
    ],
)
def test_both_figures_are_judged_together(
    accuracy: tuple[float, float] | None, area: tuple[float, float] | None, expected: str
) -> None:
    found = {"accuracy": {"interval": accuracy}, "macro_roc_auc": {"interval": area}}
    assert verdict(found) == expected
