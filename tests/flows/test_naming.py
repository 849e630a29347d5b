"""What a flow run is called."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flows.monitoring.run_names import preset
from tests.conftest import PROJECT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PROJECT / "params", tmp_path / "params")
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_committed_params_are_the_demo(project: Path) -> None:
    assert (project / "params.yaml").is_file()
    assert preset() == "demo"


def test_a_copied_preset_is_called_by_its_file(project: Path) -> None:
    shutil.copy(project / "params" / "paper.yaml", project / "params.yaml")
    assert preset() == "paper"


def test_changed_params_are_ones_own(project: Path) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("# mine\n")
    assert preset() == "own params"
