"""Ablations: which apply, and what the table says in words."""

from dataclasses import replace

import pytest

from coronet_core.errors import ParamsError
from tasks.params.file import read_params
from tasks.params.schema import Params
from tasks.studies.ablation import ABLATIONS, applicable, conclusion
from tests.conftest import PROJECT


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(PROJECT)
    return read_params(PROJECT / "params.yaml")


def test_an_ablation_that_changes_nothing_is_left_out_with_the_reason(params: Params) -> None:
    ablations, skipped = applicable(params, [])
    assert set(ablations) == set(ABLATIONS) - {"cin_from_scratch"}
    assert skipped == {"cin_from_scratch": "the run itself has cin.pretrained = none"}


def test_a_chosen_ablation_that_changes_nothing_is_an_error(params: Params) -> None:
    with pytest.raises(ParamsError, match=r"cin_from_scratch: the run itself has cin.pretrained = none"):
        applicable(params, ["cin_from_scratch"])


def test_only_the_method_itself_is_ablated(params: Params) -> None:
    image = replace(params, cin=replace(params.cin, input="image"))
    with pytest.raises(ParamsError, match=r"cin.input = image: ablations are of the paper's method"):
        applicable(image, [])


@pytest.mark.parametrize(
    ("difference", "interval", "told"),
    [
        (0.05, (0.01, 0.09), "CoroNet is better by 5.0 percentage points"),
        (-0.05, (-0.09, -0.01), "CoroNet is WORSE by 5.0 percentage points"),
        (0.05, (-0.01, 0.09), "CoroNet does not beat it: 5.0 percentage points of accuracy apart, which may be chance"),
        (-0.05, (-0.09, 0.01), "CoroNet does not beat it"),
        (0.05, (0.0, 0.1), "CoroNet does not beat it"),
        (0.05, None, "too few patients"),
    ],
)
def test_the_table_says_whether_coronet_wins(
    difference: float, interval: tuple[float, float] | None, told: str
) -> None:
    variant = {"title": "raw", "differences": {"accuracy": {"difference": difference, "interval": interval}}}
    assert told in conclusion(variant)
