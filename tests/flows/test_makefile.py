"""`make` installs what its target needs, and makes the environment anew whose scripts name another folder."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROJECT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
CLEARED = "-m venv --clear .venv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def make_environment(folder: Path, shebang: str) -> None:
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/coronet").write_text(f"{shebang}\nfrom flows.cli.command_line import app\n")
    for stamp in (".installed", ".installed-dev", ".installed-sbom"):
        (folder / ".venv" / stamp).touch()


def planned(folder: Path, target: str = "check") -> str:
    """What `make` would do for this target."""
    return subprocess.run(["make", "-n", target], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_only_tests_and_checks_install_what_they_need_beside_the_package(folder: Path) -> None:
    for target in ("run", "mlflow", "prefect"):
        assert "--editable '.'" in planned(folder, target)
        assert "[dev]" not in planned(folder, target)
    for target in ("check", "test", "test-all"):
        assert "--editable '.[dev]'" in planned(folder, target)


def test_tests_after_a_run_add_to_its_environment(folder: Path) -> None:
    make_environment(folder, f"#!{folder}/.venv/bin/python")
    (folder / ".venv/.installed-dev").unlink()
    assert "-m venv" not in planned(folder)
    assert "--editable '.[dev]'" in planned(folder)


@pytest.mark.parametrize(
    "shebang", ["#!{}/.venv/bin/python", "#!/bin/sh\n'''exec' '{}/.venv/bin/python' \"$0\" \"$@\""]
)
def test_an_environment_of_this_folder_stays(folder: Path, shebang: str) -> None:
    make_environment(folder, shebang.format(folder))
    assert "-m venv" not in planned(folder)


def test_one_that_was_moved_or_copied_here_is_made_anew(folder: Path) -> None:
    make_environment(folder, f"#!{folder}-before/.venv/bin/python")
    assert CLEARED in planned(folder)


def test_one_that_is_a_link_to_another_folder_is_not_emptied(folder: Path) -> None:
    make_environment(folder / "shared", f"#!{folder}/shared/.venv/bin/python")
    (folder / ".venv").symlink_to("shared/.venv")
    assert "-m venv" not in planned(folder)


def test_a_first_one_needs_no_clearing(folder: Path) -> None:
    assert "-m venv .venv" in " ".join(planned(folder).split())
