"""Ablations: which apply."""

from dataclasses import replace

import pytest

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import read_params, validated
from tasks.runtime.params.presets import merged, read_files
from tasks.runtime.params.schema import Params, PretrainedAutoencoders
from tasks.studies.ablation import ABLATIONS, applicable
from tests.conftest import PARAMS, PROJECT


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(PROJECT)
    return read_params(PARAMS)


def test_an_ablation_that_changes_nothing_is_left_out_with_the_reason(params: Params) -> None:
    ablations, skipped = applicable(params, [])
    assert set(ablations) == set(ABLATIONS) - {"cin_from_scratch", "residual_tensor_alone"}
    assert skipped == {
        "cin_from_scratch": "the run itself already has cin.pretrained = none",
        "residual_tensor_alone": "the run itself already has cin.input = residual_tensor",
    }


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


def test_a_run_that_reads_no_residuals_has_nothing_to_leave_out(params: Params) -> None:
    image = replace(params, cin=replace(params.cin, input="image"))
    with pytest.raises(ParamsError, match=r"cin.input = image: ablations need a run that reads residuals"):
        applicable(image, [])


def test_what_reads_image_or_residual_alone_has_as_many_networks_as_a_run_with_one_for_each() -> None:
    """The preset for real X-rays; a mean over more networks would be better by itself."""
    values = merged(read_files(PROJECT / "params" / "xray.yaml"))
    both, _ = validated(values)
    assert both is not None
    ablations, skipped = applicable(both, [])
    assert skipped.keys() == {"residual_tensor_and_image"}
    for name, one_input in (("raw_image", "image"), ("residual_tensor_alone", "residual_tensor")):
        changes = ablations[name].changes
        assert changes == {"cin.input": one_input, "cin.fusion": "planes", "cin.members": 2}
        own = {key.removeprefix("cin."): value for key, value in changes.items()}
        assert validated({**values, "cin": values["cin"] | own})[1] == []
    assert "cin.members" not in ablations["masked"].changes


def test_members_by_folds_are_no_more_of_them_in_an_ablation() -> None:
    """As many folds as members: four train on three quarters of the patients, two on a half."""
    values = merged(read_files(PROJECT / "params" / "xray.yaml"))
    values["cin"] |= {"members": 2, "member_images": "folds"}
    both, _ = validated(values)
    assert both is not None
    ablations, _ = applicable(both, [])
    for name, one_input in (("raw_image", "image"), ("residual_tensor_alone", "residual_tensor")):
        assert ablations[name].changes == {"cin.input": one_input, "cin.fusion": "planes"}
        own = {key.removeprefix("cin."): value for key, value in ablations[name].changes.items()}
        assert validated({**values, "cin": values["cin"] | own})[1] == []
