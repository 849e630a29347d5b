"""What a flow run is called."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flows.monitoring.run_names import called, name_at_start, name_flow_run, preset
from tasks.runtime.params.presets import whole_file
from tests.conftest import PROJECT


def commit(folder: Path) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["add", "."], ["commit", "-qm", "now"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PROJECT / "params", tmp_path / "params")
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_params_of_a_clone_are_the_demo(project: Path) -> None:
    assert (project / "params.yaml").is_file()
    assert preset() == "demo"


def test_params_with_the_values_of_a_preset_are_called_by_its_file(project: Path) -> None:
    (project / "params.yaml").write_bytes(whole_file(Path("params/paper.yaml")) + b"# mine\n")
    assert preset() == "paper"


def test_changed_params_are_ones_own(project: Path) -> None:
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("seed: 2020", "seed: 7"))
    assert preset() == "own params"


def test_params_of_ones_own_stay_so_in_git(project: Path) -> None:
    test_changed_params_are_ones_own(project)
    commit(project)
    assert preset() == "own params"


@pytest.mark.usefixtures("project")
def test_a_run_is_named_by_its_reason_first() -> None:
    assert name_flow_run(["build_split"], "37 new images").startswith("37 new images; demo, data to be built, code ")


@pytest.mark.usefixtures("project")
def test_a_reason_from_outside_is_one_short_line() -> None:
    name = name_flow_run(["build_split"], "\x1b[2J\n" + 200 * "x")
    assert name.isprintable()
    assert len(name.partition("; ")[0]) == 80


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The parameters of the flow run, for tests to fill in."""
    parameters: dict[str, Any] = {}
    monkeypatch.setattr("prefect.runtime.flow_run.get_parameters", lambda: parameters)
    return parameters


@pytest.mark.usefixtures("project")
def test_at_its_start_a_run_is_named_by_reason_preset_and_commit(given: dict[str, Any]) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout[:7]
    assert name_at_start() == f"demo, code {commit}"
    given |= {"params_file": "params/paper.yaml", "reason": "37 new images"}
    assert name_at_start() == f"37 new images; paper, code {commit}"


@pytest.mark.usefixtures("project", "given")
def test_faulty_params_are_left_to_the_run_itself() -> None:
    Path("params.yaml").write_text("extends: gone\n")
    assert name_at_start().startswith("code ")


def test_a_name_by_parameters_is_one_short_line(given: dict[str, Any]) -> None:
    given |= {"version": None, "space": Path("params/search/cin.yaml"), "reason": "\x1b[2J\n" + 200 * "x"}
    assert called("promote {version}", version="the last run")() == "promote the last run"
    assert called("search-{name}", name="tuned-{space.stem}")() == "search-tuned-cin"
    given["version"] = "3"
    assert called("promote {version}", version="the last run")() == "promote 3"
    assert called("{reason}")().isprintable()
    assert len(called("{reason}")()) == 120


def test_a_faulty_file_among_the_presets_is_passed_over(project: Path) -> None:
    (project / "params" / "a.yaml").write_text("extends: gone\n")
    assert preset() == "demo"
