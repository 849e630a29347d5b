"""An external validation by its command, with a Prefect server of its own."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.external_validation.result_folder import FILES
from tasks.package.package_folder import write_package
from tasks.runtime.params.checks import read_params
from tests.conftest import PARAMS
from tests.integration.conftest import Project
from tests.tasks.external_run import from_elsewhere, write_folder
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Project:
    """A package and labelled phantoms, in no project."""
    params = read_params(PARAMS)
    ran = {"evaluate": asdict(replace(params.evaluate, bootstrap_replicates=100)), "audit": asdict(params.audit)}
    lineage = some_lineage(params={"seed": 1, **ran})
    write_package(tmp_path / "package", untrained_model(), CARD, lineage)
    write_folder(tmp_path / "ward", from_elsewhere())
    return Project(tmp_path)


def test_a_package_needs_no_project(folder: Project) -> None:
    finished = folder.run("flows", "validate", "ward", "--model", "package", "--out", "results")
    assert finished.returncode == 0, finished.stdout
    assert "6 labelled images, 6 evaluated" in finished.stdout
    results = folder.folder / "results"
    assert sorted(path.name for path in results.iterdir()) == sorted(FILES)
    assert json.loads((results / "validation.json").read_text())["metrics"]["images"] == 6
