"""The command line `coronet`."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from flows.cli.command_line import app
from flows.pipeline.run import main
from flows.project.live_params import prepare
from tests.conftest import PROJECT


def no_flow() -> None:
    pytest.fail("the flow was started")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from flows.cli.command_line import app\n"
        "result = CliRunner().invoke(app, ['run', '--help'])\n"
        "assert '--params' in result.output, result.output\n"
        "print(*{'torch', 'prefect', 'dvc', 'mlflow', 'pandas'} & set(sys.modules))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"NO_COLOR": "1"}
    )
    assert finished.stdout.split() == []


def test_outside_a_project_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(no_flow) == 1
    assert "no dvc.yaml here. Change to the folder of the project." in capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "data" / "demo").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_faulty_parameter_file_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "params.yaml").read_text()
    (project / "mine.yaml").write_text(before.replace("seed: 2020", "seed: none"))
    assert main(no_flow, Path("mine.yaml")) == 1
    assert 'error: mine.yaml: seed = "none": allowed: a whole number' in capsys.readouterr().err
    assert (project / "params.yaml").read_text() == before


def test_the_former_parameters_are_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.pipeline import run

    monkeypatch.setattr(run, "stale_stages", lambda _: [])
    monkeypatch.setattr(run, "read_graph", list)
    monkeypatch.setattr(run, "absent_raw_data", list)
    monkeypatch.setattr(run, "_show_results", lambda: None)
    before = (project / "params.yaml").read_text()
    (project / "mine.yaml").write_text(before.replace("seed: 2020", "seed: 7"))
    assert main(no_flow, Path("mine.yaml")) == 0
    assert "seed: 7" in (project / "params.yaml").read_text()
    assert (project / "params.yaml.previous").read_text() == before


def test_a_preset_becomes_a_whole_file(project: Path) -> None:
    (project / "mine.yaml").write_text(f"extends: {PROJECT}/params/demo.yaml\nseed: 7\n")
    prepare(Path("mine.yaml"))
    live = YAML(typ="safe").load(project / "params.yaml")
    assert live == YAML(typ="safe").load(PROJECT / "params.yaml") | {"seed": 7}
    assert "# eq. (5)-(7)" in (project / "params.yaml").read_text()


def test_live_parameters_are_whole(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "params.yaml").write_text(f"extends: {PROJECT}/params/demo.yaml\n")
    assert main(no_flow) == 1
    assert "error: params.yaml: extends: not allowed here, since DVC reads this file" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["train_cin", "=gpu", "train_cin="])
def test_a_remote_stage_needs_a_queue(text: str) -> None:
    result = CliRunner().invoke(app, ["run", "--remote", text])
    assert result.exit_code == 2
    assert "give STAGE=QUEUE" in result.output
