"""The command line `coronet`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.testing import CliRunner

from flows.cli.command_line import app
from flows.pipeline.run import main
from flows.project.live_params import prepare
from tests.conftest import PROJECT
from tests.integration.conftest import commit_all

OF_TYPER = ("install_completion", "show_completion")
"""Options whose help is not ours."""


def no_flow() -> None:
    pytest.fail("the flow was started")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from flows.cli.command_line import app\n"
        "assert 'pydantic' not in sys.modules\n"  # Typer's own help loads it
        "result = CliRunner().invoke(app, ['run', '--help'])\n"
        "assert '--params' in result.output, result.output\n"
        "print(*{'torch', 'prefect', 'dvc', 'mlflow', 'pandas'} & set(sys.modules))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"NO_COLOR": "1"}
    )
    assert finished.stdout.split() == []


def coronet(folder: Path, *arguments: str, code: Path = PROJECT, **variables: str) -> str:
    """What the command prints in `folder`, with the project's code in `code`."""
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(code)} | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_version_names_the_commit_of_the_code_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    code = tmp_path / "code"
    for package in ("coronet_core", "tasks", "flows"):
        shutil.copytree(PROJECT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    known = f"coronet {version('coronet')}"
    assert coronet(tmp_path, "--version", code=code, PYTHONDONTWRITEBYTECODE="1") == f"{known}\n"
    commit_all(code)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=code, capture_output=True, text=True, check=True).stdout
    assert coronet(tmp_path, "--version", code=code, PYTHONDONTWRITEBYTECODE="1") == f"{known} (commit {commit[:7]})\n"
    (code / "flows" / "new.py").touch()
    printed = coronet(tmp_path, "--version", code=code, PYTHONDONTWRITEBYTECODE="1")
    assert printed == f"{known} (commit {commit[:7]}+)\n"


def commands(command: Any, path: str = "coronet") -> Iterator[tuple[str, Any]]:
    """All commands with their words."""
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, f"{path} {name}")


def test_every_option_and_command_says_what_it_is() -> None:
    found = dict(commands(typer.main.get_command(app)))
    assert "coronet models" in found
    assert [path for path, command in found.items() if not command.help] == []
    params = [(f"{path} {one.name}", one) for path, command in found.items() for one in command.params]
    assert [name for name, one in params if not getattr(one, "help", None)] == []
    without_default = [
        name
        for name, one in params
        if not one.required and one.default in (None, []) and "Default: " not in one.help and one.name not in OF_TYPER
    ]
    assert without_default == []


def test_no_help_text_is_broken_within_a_sentence() -> None:
    """Typer joins the lines of the first paragraph alone."""
    texts = [command.help for _, command in commands(typer.main.get_command(app))]
    assert [paragraph for text in texts for paragraph in text.split("\n\n")[1:] if "\n" in paragraph] == []


def test_a_shell_can_complete_commands_and_options(tmp_path: Path) -> None:
    asked = {"_CORONET_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    assert coronet(tmp_path, COMP_WORDS="coronet models fe", **asked).split() == ["fetch"]
    assert coronet(tmp_path, COMP_WORDS="coronet up --mlflow", **asked).split() == ["--mlflow-port"]


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
    monkeypatch.setattr(run, "_show_results", lambda **_: None)
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
