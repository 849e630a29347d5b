"""What each command says where something is missing, before anything heavy is imported, started or written."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import CoroNetError
from flows.project.preconditions import require_own_code
from tests.conftest import PROJECT

HEAVY = {"torch", "mlflow", "prefect"}
COMMAND = """
import atexit, sys
atexit.register(lambda: print("imported:", *{"torch", "mlflow", "prefect"} & set(sys.modules)))
from flows.cli.command_line import app
app(prog_name="coronet")
"""
SCAN = str(PROJECT / "docs" / "report.png")
"""A file that is there."""
DOCS = str(PROJECT / "docs")
"""A folder with images without labels."""
NO_PROJECT = "no dvc.yaml here. Change to the folder of the project."
NO_REGISTRY = "no registry at sqlite:///mlflow.db"
NO_RUN = "dvc.lock: the stage build_split has not run. Train the networks first (`coronet run`)."
NO_PACKAGE = "or make it with `coronet run`"
NO_SERVER = "no Prefect server: set PREFECT_API_URL"


@dataclass(frozen=True)
class Outcome:
    code: int
    said: list[str]
    """Lines on standard error."""
    imported: set[str]


def coronet(folder: Path, *arguments: str, **variables: str) -> Outcome:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PREFECT_"))}
    home = folder.parent / "prefect"
    process = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(PROJECT), "PREFECT_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    (imported,) = [line for line in process.stdout.splitlines() if line.startswith("imported:")]
    return Outcome(process.returncode, process.stderr.splitlines(), set(imported.split()[1:]))


def content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    for label in CLASSES:  # a labelled folder beside it
        (tmp_path / "ward" / label).mkdir(parents=True)
        (tmp_path / "ward" / label / "scan.png").write_bytes(b"never read")
    return tmp_path / "empty"


@pytest.fixture
def project(empty: Path) -> Path:
    """A project in which nothing has been run, and no git clone."""
    for name in ("dvc.yaml", "params.yaml"):
        (empty / name).write_text((PROJECT / name).read_text())
    (empty / "data" / "demo").mkdir(parents=True)
    return empty


def check(folder: Path, arguments: str, reason: str) -> None:
    """Assert that a command fails with the one line `reason`, and has imported and left nothing."""
    before = content(folder)
    outcome = coronet(folder, *arguments.split())
    assert outcome.code == 1, outcome
    (line,) = outcome.said
    assert line.startswith("error: ")
    assert reason in line
    assert outcome.imported & HEAVY == set()
    assert content(folder) == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("run", NO_PROJECT),
        ("up", NO_PROJECT),
        ("compare", NO_PROJECT),
        ("tune", NO_PROJECT),
        ("reproduce 1", NO_PROJECT),
        ("promote", NO_PROJECT),
        ("rollback --reason worse", NO_PROJECT),
        ("models list", NO_REGISTRY),
        ("models fetch champion --out there", NO_REGISTRY),
        ("models register", NO_PACKAGE),
        ("explain scan.png", "no such file or folder"),
        ("validate ../ward", NO_RUN),
        ("serve", NO_RUN),
        ("export --out model.onnx", NO_RUN),
        ("drift --log log", "log: no log of predictions. `coronet predict --log log` writes one."),
        ("data build --labels-only", "params.yaml: no such parameter file."),
        ("data fetch rsna --as-of 2020-03-29", "only data sets fetched by git have a state of 2020-03-29"),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in (
                ("run --params missing.yaml", NO_PROJECT),
                ("run --remote train_cin=gpu", NO_PROJECT),
                ("deploy", NO_PROJECT),
                ("ablate", NO_PROJECT),
                ("cross-validate", NO_PROJECT),
                ("promote 3", NO_PROJECT),
                ("models show champion", NO_REGISTRY),
                ("models register elsewhere", NO_PACKAGE),
                ("predict scan.png", "scan.png: no such file or folder, and no file by this pattern."),
                ("predict scans/**/*.dcm", "no file by this pattern"),
                (f"predict {SCAN}", NO_RUN),
                (f"predict {SCAN} --model elsewhere", "model = elsewhere: no such folder."),
                (f"predict {SCAN} --model models:/coronet@champion", NO_REGISTRY),
                (f"predict {SCAN} --out answers.txt", "unknown format"),
                (f"explain {SCAN}", NO_RUN),
                ("validate scans", "scans: no such folder. Give one with labelled X-rays."),
                (f"validate {DOCS} --labels labels.csv", "labels.csv: no such table, neither here nor in"),
                (f"validate {DOCS}", "no class folder above it"),
                ("validate ../ward --model elsewhere", "model = elsewhere: no such folder."),
                ("validate ../ward --model models:/coronet@champion", NO_REGISTRY),
                ("serve --model models:/coronet/3", NO_REGISTRY),
                ("serve --challenger models:/coronet@challenger", NO_REGISTRY),
                (
                    "serve --challenger nowhere",
                    "challenger = nowhere: no such folder. Allowed: the folder of a package",
                ),
                ("serve --host 0.0.0.0", "Give API keys with --keys FILE or CORONET_API_KEYS, or allow everybody"),
                ("serve --host 0.0.0.0 --without-keys", NO_RUN),
                ("serve --keys keys.txt", "keys = keys.txt: cannot be read"),
                ("export --out model.txt", "a file for --to onnx must end in .onnx"),
                ("data build", NO_PROJECT),
            )
        ),
    ],
)
def test_in_an_empty_folder(empty: Path, arguments: str, reason: str) -> None:
    check(empty, arguments, reason)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("run --params missing.yaml", "missing.yaml: no such parameter file."),
        ("run --remote train_cin=gpu", "no git clone with a commit."),
        ("deploy", NO_SERVER),
        ("reproduce 1", "no git clone with a commit. Clone the project with git."),
        ("promote", NO_PACKAGE),
        ("promote 3", NO_REGISTRY),
        ("rollback --reason worse", NO_REGISTRY),
        (f"predict {SCAN}", NO_RUN),
        ("serve", NO_RUN),
        ("export --out model.onnx", NO_RUN),
        (
            "tune --objective accuracy",
            "objective = accuracy: not a figure of the validation split. Allowed: validation_",
        ),
        ("tune --space missing.yaml", "missing.yaml: no such file with a search space."),
    ],
)
def test_in_a_project_that_has_not_been_run(project: Path, arguments: str, reason: str) -> None:
    check(project, arguments, reason)


@pytest.mark.parametrize(("option", "value"), [("since", "2026-13-01"), ("level", "2.0")])
def test_a_wrong_option_needs_no_model(empty: Path, option: str, value: str) -> None:
    check(empty, f"drift --log log --{option} {value}", f"{option} = {value}")


def test_a_rollback_without_a_reason_needs_no_project(empty: Path) -> None:
    outcome = coronet(empty, "rollback", "--reason", " ")
    assert (outcome.code, len(outcome.said)) == (1, 1)
    assert "a rollback needs a reason" in outcome.said[0]
    assert outcome.imported & HEAVY == set()


def test_serving_needs_its_port(empty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check(empty, f"serve --port {taken.getsockname()[1]}", "Is it taken? Give another with --port.")


def test_a_settings_file_may_name_the_prefect_server(project: Path) -> None:
    """Then Prefect itself is asked."""
    (project / ".env").write_text("PREFECT_API_URL=http://127.0.0.1:9/api\n")
    assert "prefect" in coronet(project, "deploy").imported


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("promote", "3"), "3: no such version of coronet. The registry"),
        (("rollback", "--reason", "worse"), "there is no champion: nothing to roll back."),
    ],
)
def test_a_registry_without_the_version_is_asked_and_no_server_started(
    project: Path, empty_store: Path, arguments: tuple[str, ...], reason: str
) -> None:
    before = content(project)
    outcome = coronet(project, *arguments, MLFLOW_TRACKING_URI=f"sqlite:///{empty_store}")
    assert outcome.code == 1
    assert [line for line in outcome.said if line.startswith(f"error: {reason}")] == outcome.said
    assert outcome.imported & HEAVY == {"mlflow"}
    assert content(project) == before


def test_a_copy_is_not_served_by_the_worker_of_its_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    require_own_code()
    monkeypatch.chdir(tmp_path)
    require_own_code()  # a project whose code is elsewhere
    (tmp_path / "flows").mkdir()
    shutil.copy(PROJECT / "flows" / "__init__.py", "flows")
    with pytest.raises(CoroNetError, match=r"belongs to .*would run flows there\. Type `make \.venv/\.installed` here"):
        require_own_code()
