"""What the registered model brings along: all of the project's code that it runs, and all libraries pinned."""

import re
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import grimp
import pytest

from tasks.registry.model_requirements import LIBRARIES, ROOTS, copy_code, modules, requirements, served_file


def test_every_library_that_the_code_imports_is_pinned() -> None:
    graph = grimp.build_graph(*ROOTS, include_external_packages=True, cache_dir=None)
    imported = {
        one.partition(".")[0] for module in modules() for one in graph.find_modules_directly_imported_by(module)
    }
    homes = packages_distributions()
    libraries = imported - set(ROOTS) - sys.stdlib_module_names
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in LIBRARIES} | {"pydantic-core"}  # pydantic's own
    missing = {one for one in libraries if not {re.sub(r"[-_.]+", "-", d).lower() for d in homes[one]} & pinned}
    assert missing == set()


def test_versions_are_those_in_force() -> None:
    assert f"safetensors=={version('safetensors')}" in requirements()


def test_a_build_of_torch_is_pinned_by_its_version_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.registry.model_requirements.version", lambda _: "2.15.0+cpu")
    assert "torch==2.15.0" in requirements()


def test_the_code_is_whole_and_no_more(tmp_path: Path) -> None:
    assert copy_code(tmp_path) == [tmp_path / root for root in ROOTS]
    copied = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {Path("coronet_core/__init__.py"), Path("tasks/inference/predictor.py")} <= copied
    assert not {path for path in copied if path.suffix != ".py" or "tracking" in path.parts or "report" in path.name}


def test_mlflow_runs_a_file_of_the_project() -> None:
    assert "set_model(" in served_file().read_text()
