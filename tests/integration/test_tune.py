"""A hyperparameter search, for real, killed in the middle and gone on with."""

import os
import re
import signal

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from tasks.runtime.params.checks import read_params
from tasks.runtime.params.presets import read_files
from tasks.runtime.paths import CIN_HISTORY, search_page
from tests.integration.conftest import Project
from tests.integration.hosts import runs_in, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SPACE = "space:\n  cin.learning_rate: {low: 0.00001, high: 0.001, log: true}\n"
TUNE = ("flows", "tune", "--space", "mine.yaml", "--trials", "2")


@pytest.fixture(scope="module")
def killed(finished_project: Project) -> Project:
    """A project whose search was killed while the CIN of its second trial was trained."""
    (finished_project.folder / "mine.yaml").write_text(SPACE)
    with finished_project.start(*TUNE, start_new_session=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "epoch 1/2" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
    assert "epoch 1/2" in lines[-1], "".join(lines)
    return finished_project


def test_a_killed_search_goes_on_with_the_trial_it_was_in(killed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = killed.run(*TUNE)
    assert finished.returncode == 0, finished.stdout
    assert "1 of 2 trials left to run" in finished.stdout
    assert "resuming after epoch 1 of 2" in finished.stdout
    assert re.findall(r"Running stage '(.+)'", finished.stdout) == ["train_cin"], "all else comes from the cache"

    monkeypatch.chdir(killed.folder)
    study = optuna.load_study(study_name="tuned-mine", storage="sqlite:///.coronet/optuna.db")
    as_it_was, broken_off, taken_up = study.trials
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert as_it_was.params == {"cin.learning_rate": read_params().cin.learning_rate}
    assert taken_up.params == broken_off.params
    assert as_it_was.value == min(history_of(killed, "."))
    assert taken_up.value == min(history_of(killed, ".coronet/workspaces/search-tuned-mine/trial-1"))
    assert list(taken_up.intermediate_values) == [1, 2]

    preset = killed.folder / "params" / "tuned-mine.yaml"
    assert read_params(preset).cin.learning_rate == study.best_params["cin.learning_rate"]
    assert f"# trial {study.best_trial.number}: validation_loss {study.best_value:.5f}" in preset.read_text()
    assert [file.path.stem for file in read_files(preset)] == ["tuned-mine", "demo", "base"]
    assert (killed.folder / search_page("tuned-mine")).read_text().count("<img") == 3

    runs = runs_in(f"sqlite:///{killed.folder}/mlflow.db")
    names = {run.info.run_id: run.info.run_name for run in runs}
    nested = [(run.info.run_name, names.get(run.data.tags.get("mlflow.parentRunId", ""))) for run in runs]
    assert nested.count(("trial-0", "search-tuned-mine")) == 1
    assert nested.count(("trial-1", "search-tuned-mine")) == 2
    assert nested.count(("train_cin", "trial-1")) == 2
    assert {run.info.status for run in runs} == {"FINISHED", "KILLED"}
    assert "Data and pipelines are up to date." in killed.run("dvc", "status").stdout


def test_a_search_that_is_asked_to_end_does_so_at_once(killed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with killed.start(*TUNE[:-1], "5", "--parallel", "2") as process:
        wait_for(process, "epoch 1/2")
        below = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        output, _ = process.communicate(timeout=120)
    assert psutil.wait_procs(below, timeout=30)[1] == []
    assert process.returncode == -signal.SIGTERM, output

    monkeypatch.chdir(killed.folder)
    study = optuna.load_study(study_name="tuned-mine", storage="sqlite:///.coronet/optuna.db")
    begun = [trial.state for trial in study.trials][3:]
    assert TrialState.RUNNING in begun, "the next search takes it up"
    assert TrialState.FAIL not in begun


def history_of(project: Project, folder: str) -> list[float]:
    header, *rows = (project.folder / folder / CIN_HISTORY).read_text().splitlines()
    column = header.split(",").index("validation_loss")
    return [float(row.split(",")[column]) for row in rows]
