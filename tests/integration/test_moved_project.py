"""A project that is moved or copied with its runs and its champion, in MLflow's own store."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.package.metadata import package_digest
from tasks.package.package_folder import write_package
from tests.conftest import PROJECT
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STAGE = """
import sys
from pathlib import Path
from tasks.runtime.tracking.stage_run import StageRun
with StageRun("evaluate", {"seed": "1"}) as run:
    Path("metrics.json").write_text(sys.argv[1])
    run.artifact(Path("metrics.json"))
"""
REGISTER = """
from pathlib import Path
from tasks.registry.champion_alias import set_champion
from tasks.registry.registration import register
set_champion(register(Path("package")), None)
"""
FETCH = """
from tasks.registry.fetching import fetch
from tasks.registry.versions import champion
print(fetch(champion()))
"""


def python(folder: Path, script: str, *arguments: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "CORONET_"))}
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


def artifacts(folder: Path) -> dict[str, bytes]:
    """All files below `mlruns`, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in (folder / "mlruns").rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run and a champion."""
    folder = tmp_path_factory.mktemp("moved") / "original"
    folder.mkdir()
    shutil.copy(PROJECT / "dvc.yaml", folder)
    write_package(folder / "package", untrained_model(), CARD, some_lineage())
    python(folder, STAGE, "of the original")
    python(folder, REGISTER)
    assert b"of the original" in artifacts(folder).values()
    return folder


def require_at_home(folder: Path, before: dict[str, bytes]) -> None:
    """A champion is fetched and a run is recorded in `folder`, whose artifacts were `before`."""
    assert "This project was moved from" in python(folder, STAGE, "of the other place")
    added = {name: content for name, content in artifacts(folder).items() if name not in before}
    assert b"of the other place" in added.values()
    fetched = Path(python(folder, FETCH).splitlines()[-1])
    assert package_digest(folder / fetched) == package_digest(folder / "package")


def test_a_copy_writes_nothing_into_the_original(original: Path, tmp_path: Path) -> None:
    before, store = artifacts(original), (original / "mlflow.db").read_bytes()
    shutil.copytree(original, tmp_path / "copy")
    require_at_home(tmp_path / "copy", before)
    assert artifacts(original) == before
    assert (original / "mlflow.db").read_bytes() == store


def test_a_project_that_was_moved_is_not_made_again_where_it_was(original: Path, tmp_path: Path) -> None:
    before = artifacts(original)
    shutil.copytree(original, tmp_path / "moved")
    away = original.with_name("away")
    original.rename(away)
    try:
        require_at_home(tmp_path / "moved", before)
        assert not original.exists()
    finally:
        away.rename(original)
