"""What may be searched, by which figure, and what is wrong with a space."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.presets import merged, nested, read_files, whole_file
from tasks.studies.search_objective import OBJECTIVES, find_objective
from tasks.studies.search_space import EXAMPLE, SearchSpace, read_space
from tests.conftest import PROJECT

LOSS = OBJECTIVES["validation_loss"]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def space(folder: Path, *lines: str) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_text("\n".join(["space:", *(f"  {line}" for line in lines)]) + "\n")
    return read_space(path, LOSS)


def test_numbers_are_drawn_as_the_params_have_them(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        "cin.learning_rate: {low: 0.001, high: 1, log: true}",
        "cin.weight_decay: {low: 0, high: 1}",
        "cin.batch_size: {low: 8, high: 64, step: 8}",
        "cin.patience_epochs: [null, 3]",
    )
    assert found.distributions == {
        "cin.learning_rate": FloatDistribution(0.001, 1, log=True),
        "cin.weight_decay": FloatDistribution(0, 1),
        "cin.batch_size": IntDistribution(8, 64, step=8),
        "cin.patience_epochs": CategoricalDistribution([None, 3]),
    }


def test_lists_may_be_values(tmp_path: Path) -> None:
    flips: list[list[str]] = [[], ["healthy", "covid19"]]
    found = space(tmp_path, f"cin.horizontal_flip: {flips}", "cin.epochs: {low: 3, high: 4}")
    study = optuna.create_study()
    drawn = [found.suggest(study.ask()) for _ in range(12)]
    assert {str(one["cin.horizontal_flip"]) for one in drawn} == {str(flip) for flip in flips}
    assert {one["cin.epochs"] for one in drawn} == {3, 4}


def test_the_example_holds_for_the_live_params() -> None:
    live = merged(read_files(PARAMS_FILE))
    found = read_space(EXAMPLE, LOSS)
    drawn = found.drawn(live)
    assert drawn is not None
    assert merged([*read_files(PARAMS_FILE)]) | nested(found.values(drawn)) == live | nested(found.values(drawn))
    assert all(live["cin"][key.removeprefix("cin.")] == value for key, value in found.values(drawn).items())


@pytest.mark.parametrize("line", ["cin.epochs: {low: 100, high: 200}", "cin.precision: [fp32]"])
def test_live_params_may_be_outside_the_space(tmp_path: Path, line: str) -> None:
    assert space(tmp_path, line).drawn(merged(read_files(PARAMS_FILE))) is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cin.learnin_rate: [0.1]", "cin.learnin_rate = 0.1: unknown key. Did you mean learning_rate?"),
        ("cnn.epochs: [1]", 'cnn = {"epochs": 1}: unknown key. Did you mean cin?'),
        ("cin: [1]", "cin: a section. Name its params, such as cin.input."),
        ("cin.learning_rate: {low: 0.1, high: 2}", "cin.learning_rate = 2: allowed: a number above 0, at most 1"),
        ("cin.epochs: {low: 1.5, high: 9}", "cin.epochs = 1.5: allowed: a whole number from 0 to 10000"),
        ("cin.best_by: [test_loss]", "cin.best_by = \"test_loss\": allowed: 'validation_loss', 'validation_"),
        ("cin.input: {low: 0, high: 1}", "cin.input = 0: allowed: 'residual_tensor', 'healthy_residual'"),
        (
            "autoencoder.training_size_px: {low: 64, high: 128, step: 4}",
            "autoencoder.training_size_px = 68: allowed: a multiple of 8 from 64 to 2048",
        ),
        (
            "cin.batch_size: {low: 8, high: 63, step: 8}",
            "cin.batch_size.high = 63: allowed: low and a multiple of step",
        ),
        ("cin.repetition: [0, 1]", "cin.repetition: decides random numbers alone, so the best would be luck"),
        ("cin.weight_decay: {low: 0.1, high: 0.01}", "cin.weight_decay: `low <= high` must hold, but got (low=0.1"),
        ("cin.weight_decay: {low: 0.0, high: 0.01, log: true}", "cin.weight_decay: `low > 0` must hold for `log=True`"),
        ("cin.epochs: {low: 2, hgih: 3}", "cin.epochs.high: field required. Allowed: a list of values, or {low: ..."),
        ("cin.epochs: {low: 2, high: 3, log: yes}", "cin.epochs.log: input should be a valid boolean. Allowed: "),
        ("cin.epochs: 3", "cin.epochs = 3: Allowed: a list of values, or {low: ..., high: ...} with step or log."),
        ("cin.epochs: []", "cin.epochs: The `choices` must contain one or more elements."),
        ("seed: [1, 2]", "seed: not a param to search. Allowed: those in autoencoder, residuals, cin, which decide"),
        ("data.image_size_px: [64, 128]", "data.image_size_px: not a param to search."),
        ("evaluate.confidence: [0.9]", "evaluate.confidence: not a param to search."),
        ("cin.class_weights: [equal]", "cin.class_weights: the weights of validation_loss, so its values would not be"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(ParamsError) as caught:
        space(tmp_path, line)
    assert str(caught.value).startswith(f"{tmp_path}/space.yaml: {fault}")


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        space(tmp_path, "seed: [1]", "cin.epochs: [0]", "cin.batch_size: [8]")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", ["", "cin.epochs: [1]", "space: []", "space: {}"])
def test_a_file_without_a_space_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError, match="has no section `space`"):
        read_space(path, LOSS)
    with pytest.raises(ParamsError, match=r"there: no such file with a search space. params/search/cin.yaml is"):
        read_space(Path("there"), LOSS)


def test_class_weights_may_be_searched_by_a_figure_that_has_none(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("space: {cin.class_weights: [equal, inverse_frequency, [1.0, 1.0, 2.0]]}\n")
    assert list(read_space(path, OBJECTIVES["validation_nll"]).distributions) == ["cin.class_weights"]


OF_EPOCHS = ["validation_loss", "validation_accuracy"]
OF_THE_WHOLE = ["validation_nll", "validation_brier"]


def go_live(folder: Path, preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `preset` for the live params, in `folder`."""
    (folder / "params.yaml").write_bytes(whole_file(Path(f"params/{preset}.yaml")))
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("name", OF_EPOCHS)
@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cin.members: [1, 3]", "cin.members = 3"),
        ("cin.members: {low: 1, high: 5}", "cin.members = 5"),
        ("cin.members: {low: 2, high: 6, step: 2}", "cin.members = 6"),
    ],
)
def test_several_networks_are_not_searched_by_a_figure_of_one(tmp_path: Path, name: str, line: str, fault: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(f"space:\n  {line}\n")
    with pytest.raises(ParamsError) as caught:
        read_space(path, OBJECTIVES[name])
    assert str(caught.value) == (
        f"{path}: {fault}: makes the CIN several networks, and {name} is of one alone. Search by a figure of the whole "
        "CIN, --objective validation_nll or validation_brier."
    )
    for whole in OF_THE_WHOLE:
        assert list(read_space(path, OBJECTIVES[whole]).distributions) == ["cin.members"]


@pytest.mark.parametrize("name", OF_EPOCHS)
def test_several_networks_of_the_live_params_are_refused_by_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    go_live(tmp_path, "xray", monkeypatch)
    with pytest.raises(ParamsError, match=rf"^params\.yaml: cin\.fusion = networks: .* and {name} is of one alone"):
        read_space(PROJECT / EXAMPLE, OBJECTIVES[name])
    values = merged(read_files(PARAMS_FILE))
    values["cin"] |= {"fusion": "planes", "members": 2, "member_images": "folds"}
    PARAMS_FILE.write_text(json.dumps(values))
    with pytest.raises(ParamsError, match=r"^params\.yaml: cin\.members = 2: makes the CIN several networks"):
        read_space(PROJECT / EXAMPLE, OBJECTIVES[name])


def test_a_space_may_limit_the_cin_to_one_network_or_to_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_live(tmp_path, "xray", monkeypatch)
    assert list(space(tmp_path, "cin.fusion: [planes]").distributions) == ["cin.fusion"]
    with pytest.raises(ParamsError, match=r"space\.yaml: cin\.fusion = networks: makes the CIN several networks"):
        space(tmp_path, "cin.fusion: [planes, networks]")


@pytest.mark.parametrize("preset", ["demo", "paper", "reference", "xray"])
def test_the_example_holds_for_the_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    go_live(tmp_path, preset, monkeypatch)
    for name in OF_THE_WHOLE if preset == "xray" else [*OF_EPOCHS, *OF_THE_WHOLE]:
        assert read_space(PROJECT / EXAMPLE, OBJECTIVES[name]).distributions


@pytest.mark.parametrize("name", ["accuracy", "roc_auc.macro", "test_loss", "training_loss"])
def test_other_figures_are_no_objective(name: str) -> None:
    with pytest.raises(ParamsError, match=rf"objective = {name}: not a figure of the validation split. Allowed: valid"):
        find_objective(name)


@pytest.mark.parametrize(
    ("objective", "best_by", "values"),
    [
        ("validation_loss", "validation_loss", [0.5, 0.4, 0.4]),
        ("validation_accuracy", "validation_loss", [0.7, 0.6, 0.6]),
        ("validation_loss", "validation_accuracy", [0.5, 0.5, 0.6]),
    ],
)
def test_the_figure_is_that_of_the_epoch_whose_weights_are_kept(
    tmp_path: Path, objective: str, best_by: Any, values: list[float]
) -> None:
    (tmp_path / "reports" / "history").mkdir(parents=True)
    rows = "epoch,validation_loss,validation_accuracy\n1,0.5,0.7\n2,0.4,0.6\n3,0.6,0.8\n"
    (tmp_path / "reports" / "history" / "cin.csv").write_text(rows)
    params = read_params().cin.__class__(**{**vars(read_params().cin), "best_by": best_by})
    found = OBJECTIVES[objective]
    assert found.by_epoch(tmp_path, params) == dict(enumerate(values, start=1))
    assert found.value(tmp_path, params) == values[-1]
