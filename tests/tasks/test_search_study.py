"""The study of a search: what may go on in it, and trials of killed processes."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from coronet_core.support.errors import CoroNetError, ParamsError
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tasks.studies.search_objective import OBJECTIVES
from tasks.studies.search_space import SearchSpace, read_space
from tasks.studies.search_study import (
    DEFAULT_STORAGE,
    STORAGE_VARIABLE,
    WORKSPACE,
    begin_trial,
    n_done,
    open_study,
    require_unchanged,
)
from tests.conftest import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with Study.optimize")
LOSS, ACCURACY = OBJECTIVES["validation_loss"], OBJECTIVES["validation_accuracy"]
SPACE = "space:\n  cin.epochs: {low: 100, high: 1000}\n  cin.learning_rate: {low: 0.001, high: 0.1}\n"
KILLED = """
import os
from pathlib import Path
from tests.tasks.test_search_study import LOSS, read_params, read_space
from tasks.studies.search_study import begin_trial, open_study
space = read_space(Path("space.yaml"), LOSS)
trial = open_study("s", space, LOSS, read_params(), prune=True).ask()
begin_trial(trial)
print(space.suggest(trial), flush=True)
os._exit(9)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's params, and a space that they are outside of."""
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def params() -> Params:
    return read_params()


@pytest.fixture
def space() -> SearchSpace:
    return read_space(Path("space.yaml"), LOSS)


def test_a_study_goes_on_and_draws_anew(params: Params, space: SearchSpace) -> None:
    drawn = []
    for _ in range(2):
        study = open_study("s", space, LOSS, params, prune=True)
        trial = study.ask()
        drawn.append(space.suggest(trial))
        study.tell(trial, 0.5)
    assert n_done(study) == 2
    assert drawn[0] != drawn[1]


def test_the_first_trial_has_the_params_as_they_are(params: Params) -> None:
    space = read_space(PROJECT / "params/search/cin.yaml", LOSS)
    for _ in range(2):
        study = open_study("s", space, LOSS, params, prune=True)
    assert space.suggest(study.ask())["cin.learning_rate"] == params.cin.learning_rate
    assert len(study.trials) == 1


def test_a_study_that_was_begun_otherwise_is_not_gone_on_with(params: Params, space: SearchSpace) -> None:
    open_study("s", space, LOSS, params, prune=True)
    other = replace(params, cin=replace(params.cin, batch_size=8))
    narrow = SearchSpace({"cin.epochs": space.distributions["cin.epochs"]})
    remedy = "its trials cannot be compared with new ones. Restore it, or begin another study with --name."
    with pytest.raises(ParamsError, match=rf"the study s was begun with cin.batch_size = 16, now 8: {remedy}"):
        open_study("s", space, LOSS, other, prune=True)
    with pytest.raises(ParamsError, match=r"begun with objective = validation_loss, now validation_accuracy: its"):
        open_study("s", space, ACCURACY, params, prune=True)
    with pytest.raises(
        ParamsError, match=r"begun with space.cin.learning_rate.name = FloatDistribution, now none: its"
    ):
        open_study("s", narrow, LOSS, params, prune=True)
    unlike = replace(
        params, device="cuda", cin=replace(params.cin, epochs=2), explain=replace(params.explain, methods=[])
    )
    open_study("s", space, LOSS, unlike, prune=True)  # what is searched, or decides no figure


def test_params_that_change_in_the_middle_are_noticed(folder: Path, params: Params, space: SearchSpace) -> None:
    study = open_study("s", space, LOSS, params, prune=True)
    require_unchanged(study, space, LOSS)
    live = folder / "params.yaml"
    live.write_text(live.read_text().replace("batch_size: 16\n", "batch_size: 32\n"))
    with pytest.raises(ParamsError, match=r"cin\.batch_size"):
        require_unchanged(study, space, LOSS)


def test_the_trial_of_a_killed_process_is_enqueued_again(folder: Path, params: Params, space: SearchSpace) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=folder,
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == 9, killed.stderr
    study = open_study("s", space, LOSS, params, prune=True)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    trial = study.ask()
    assert str(space.suggest(trial)) == killed.stdout.strip()
    assert (trial.number, begin_trial(trial)) == (1, "trial-0")
    again = open_study("s", space, LOSS, params, prune=True)
    assert again.trials[1].state == TrialState.RUNNING, "its process, this one, lives"
    assert again.trials[1].user_attrs[WORKSPACE] == "trial-0"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "Could not parse SQLAlchemy URL from given URL string"),
        ("sqlite:////nowhere/optuna.db", "unable to open database file"),
        ("postgresql://me:secret@127.0.0.1:1/optuna", "onnection"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_named_without_its_password(
    params: Params, space: SearchSpace, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, url)
    with pytest.raises(CoroNetError) as caught:
        open_study("s", space, LOSS, params, prune=True)
    assert reason in str(caught.value)
    assert f"Correct --storage, or {STORAGE_VARIABLE}." in str(caught.value)
    assert "secret" not in str(caught.value)
    assert DEFAULT_STORAGE not in str(caught.value)
