"""What differences say in words."""

import pytest

from tasks.studies.conclusions import judged, verdict


@pytest.mark.parametrize(
    ("difference", "interval", "told"),
    [
        (0.05, (0.01, 0.09), "CoroNet is better by 5.0 percentage points"),
        (-0.05, (-0.09, -0.01), "CoroNet is WORSE by 5.0 percentage points"),
        (
            0.05,
            (-0.01, 0.09),
            "CoroNet is not better: the difference of 5.0 percentage points of accuracy may be due to",
        ),
        (-0.05, (-0.09, 0.01), "CoroNet is not better"),
        (0.05, (0.0, 0.1), "CoroNet is not better"),
        (0.05, None, "too few patients"),
    ],
)
def test_it_is_said_whether_coronet_wins(difference: float, interval: tuple[float, float] | None, told: str) -> None:
    unknown = {"difference": None, "interval": None}
    accuracy = {"difference": difference, "interval": interval}
    assert told in judged("CoroNet", {"accuracy": accuracy, "macro_roc_auc": unknown})


def test_a_ranking_that_is_surely_worse_is_told_though_the_accuracy_may_be_chance() -> None:
    accuracy = {"difference": -0.04, "interval": (-0.105, 0.028)}
    area = {"difference": -0.034, "interval": (-0.062, -0.006)}
    assert judged("CoroNet", {"accuracy": accuracy, "macro_roc_auc": area}) == (
        "CoroNet is not better: the difference of 4.0 percentage points of accuracy may be due to chance "
        "(interval of the difference -10.5 to +2.8). CoroNet is WORSE by 0.034 of macro ROC-AUC (interval of the "
        "difference -0.062 to -0.006)."
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
