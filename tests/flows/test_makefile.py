"""`make` makes the environment anew whose scripts name another folder, and no other."""

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
    (folder / ".venv/.installed").touch()


def planned(folder: Path) -> str:
    """What `make check` would do."""
    return subprocess.run(["make", "-n", "check"], cwd=folder, capture_output=True, text=True, check=True).stdout


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
