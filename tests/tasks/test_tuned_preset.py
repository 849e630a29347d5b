"""The winner of a search as a preset."""

import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.presets import ParamsFile, merged, nested, read_files, whole_file
from tasks.runtime.tracking.provenance import code_version
from tasks.studies.search_objective import OBJECTIVES
from tasks.studies.search_space import EXAMPLE, SearchSpace, read_space
from tasks.studies.search_study import begin_trial, best_trials, open_study
from tasks.studies.tuned_preset import preset_path, write_preset, write_winner
from tests.conftest import PROJECT

LOSS = OBJECTIVES["validation_loss"]
TUNED = Path("params/tuned.yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's params and presets."""
    shutil.copytree(PROJECT / "params", tmp_path / "params")
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def live(changes: dict[str, Any]) -> dict[str, Any]:
    """The demo's values with `changes`."""
    values: dict[str, Any] = merged(
        [ParamsFile(PARAMS_FILE, one) for one in (nested(changes), *values_of(PARAMS_FILE))]
    )
    return values


def values_of(path: Path) -> list[Any]:
    return [merged(read_files(path))]


@pytest.mark.parametrize(
    ("changes", "base"),
    [
        ({"cin.learning_rate": 1.2345678901234567e-05}, "demo"),
        ({"cin.horizontal_flip": [], "cin.patience_epochs": None, "seed": 3}, "demo"),
        ({"data.split": {"by": "folds", "folds": 3, "fold": 1, "unit": "images", "validation_fraction": 0.2}}, "demo"),
    ],
    ids=["a number", "several", "a section by another rule"],
)
def test_a_preset_has_the_values_and_states_what_differs(changes: dict[str, Any], base: str) -> None:
    values = live(changes)
    write_preset(TUNED, values, ["study x"])
    own, extended, *_ = read_files(TUNED)
    assert values_of(TUNED) == [values]
    assert extended.path == Path(f"params/{base}.yaml")
    stated = {key: value for key, value in nested(changes).items() if values_of(PARAMS_FILE)[0][key] != value}
    assert own.values.keys() <= stated.keys()
    assert TUNED.read_text().startswith("# Written by `coronet tune`.\n# study x\n\nextends: demo\n")


def test_params_of_another_preset_extend_that_one() -> None:
    PARAMS_FILE.write_bytes(whole_file(Path("params/covidx_2020-04-15.yaml")))
    write_preset(TUNED, live({"cin.epochs": 7}), [])
    own, extended, *_ = read_files(TUNED)
    assert (extended.path.stem, own.values) == ("covidx_2020-04-15", {"cin": {"epochs": 7}})


def test_a_preset_extends_none_of_another_search() -> None:
    values = live({"cin.learning_rate": 0.0123})
    for path in (TUNED, Path("params/other.yaml")):
        write_preset(path, values, ["study x"])
    assert [file.path.stem for file in read_files(Path("params/other.yaml"))][:2] == ["other", "demo"]


def test_a_preset_extends_neither_itself_nor_one_that_extends_it() -> None:
    write_preset(TUNED, live({"cin.epochs": 7}), [])
    Path("params/further.yaml").write_text("extends: tuned\ncin: {batch_size: 8}\n")
    write_preset(TUNED, live({"cin.epochs": 7, "cin.batch_size": 8}), [])
    assert [file.path.stem for file in read_files(TUNED)] == ["tuned", "demo", "base"]


def test_a_preset_of_somebody_is_not_overwritten() -> None:
    with pytest.raises(ParamsError, match=r"params/paper.yaml: exists, but not from `coronet tune`. Give another"):
        preset_path("paper")
    for name in ("../paper", "my study", ""):
        with pytest.raises(
            ParamsError, match=r"name = .*: allowed: letters, digits, - and _. Give another with --name"
        ):
            preset_path(name)
    write_preset(TUNED, live({}), [])
    assert preset_path("tuned") == TUNED


def searched(space: SearchSpace) -> optuna.Study:
    study = open_study("tuned", space, LOSS, read_params(), prune=True)

    def objective(trial: optuna.Trial) -> float:
        begin_trial(trial)
        values = space.suggest(trial)
        return abs(float(values["cin.learning_rate"]) - 0.003)

    study.optimize(objective, n_trials=6)
    return study


def test_the_winner_says_where_it_comes_from() -> None:
    space = read_space(EXAMPLE, LOSS)
    study = searched(space)
    write_winner(TUNED, study, space, EXAMPLE)
    best = best_trials(study)[0]
    assert best.number > 0
    assert values_of(TUNED) == [live(space.values(best.params))]
    assert read_params(TUNED).cin.learning_rate == best.params["cin.learning_rate"]
    head = TUNED.read_text().partition("\n\n")[0]
    assert "# study tuned, space params/search/cin.yaml, 6 trials\n" in head
    assert f"# trial {best.number}: validation_loss {best.value:.5f}, to minimize\n" in head
    assert "# params.yaml as it was: validation_loss 0.00200\n" in head
    assert f"# commit {code_version()['git.commit']}, 20" in head
    assert f"`coronet run --params {TUNED}`" in head
