"""Ablations: which apply, and what the table says in words."""

from dataclasses import replace

import pytest

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.file import read_params, validated
from tasks.runtime.params.presets import merged, read_files
from tasks.runtime.params.schema import Params, PretrainedAutoencoders
from tasks.studies.ablation import ABLATIONS, applicable, conclusion
from tests.conftest import PROJECT


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(PROJECT)
    return read_params(PROJECT / "params.yaml")


def test_an_ablation_that_changes_nothing_is_left_out_with_the_reason(params: Params) -> None:
    ablations, skipped = applicable(params, [])
    assert set(ablations) == set(ABLATIONS) - {"cin_from_scratch"}
    assert skipped == {"cin_from_scratch": "the run itself already has cin.pretrained = none"}


def test_a_chosen_ablation_that_changes_nothing_is_an_error(params: Params) -> None:
    with pytest.raises(ParamsError, match=r"cin_from_scratch: the run itself already has cin.pretrained = none"):
        applicable(params, ["cin_from_scratch"])


def test_autoencoders_from_files_are_not_ablated(params: Params) -> None:
    given = PretrainedAutoencoders(healthy="h.pth", pneumonia="p.pth")
    ablations, skipped = applicable(replace(params, autoencoder=replace(params.autoencoder, pretrained=given)), [])
    assert "raw_image" in ablations
    assert {skipped[name] for name in ("without_regulariser", "without_skips", "masked")} == {
        "the run's autoencoders are those of autoencoder.pretrained"
    }


@pytest.mark.parametrize("name", ABLATIONS)
def test_what_an_ablation_changes_are_params_with_allowed_values(name: str) -> None:
    values = merged(read_files(PROJECT / "params.yaml"))
    for key, value in ABLATIONS[name].changes.items():
        section, param = key.split(".")
        assert param in values[section]
        values[section][param] = value
    assert validated(values)[1] == []


def test_only_the_method_itself_is_ablated(params: Params) -> None:
    image = replace(params, cin=replace(params.cin, input="image"))
    with pytest.raises(ParamsError, match=r"cin.input = image: ablations need the paper's method"):
        applicable(image, [])


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
def test_the_table_says_whether_coronet_wins(
    difference: float, interval: tuple[float, float] | None, told: str
) -> None:
    unknown = {"difference": None, "interval": None}
    accuracy = {"difference": difference, "interval": interval}
    assert told in conclusion({"title": "raw", "differences": {"accuracy": accuracy, "macro_roc_auc": unknown}})


def test_a_ranking_that_is_surely_worse_is_told_though_the_accuracy_may_be_chance() -> None:
    accuracy = {"difference": -0.04, "interval": (-0.105, 0.028)}
    area = {"difference": -0.034, "interval": (-0.062, -0.006)}
    assert conclusion({"title": "raw", "differences": {"accuracy": accuracy, "macro_roc_auc": area}}) == (
        "raw: CoroNet is not better: the difference of 4.0 percentage points of accuracy may be due to chance "
        "(interval of the difference -10.5 to +2.8). CoroNet is WORSE by 0.034 of macro ROC-AUC (interval of the "
        "difference -0.062 to -0.006)."
    )
