"""Versions of the split: what changed between two of them, and getting one back somewhere else."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coronet_core.common.manifest import read_manifest
from tasks.runtime.paths import MANIFEST
from tests.integration.conftest import Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def commit(project: Project) -> None:
    for command in (["add", "."], ["-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "data"]):
        subprocess.run(["git", *command], cwd=project.folder, check=True)


def patients(healthy: int) -> dict[str, dict[str, Any]]:
    counts = {"healthy": healthy, "pneumonia": 12, "covid19": 9}
    return {"data": {"sources": [{"kind": "phantom", "patients": counts, "images_per_patient_max": 1}]}}


@pytest.fixture(scope="module")
def two_versions(project: Project) -> Project:
    """A project whose last commit has 12 healthy patients and whose work tree has 20."""
    project.done("dvc", "repro", "build_split")
    commit(project)
    project.set_params(patients(healthy=20))
    project.done("dvc", "repro", "build_split")
    return project


def test_dvc_tells_what_changed(two_versions: Project) -> None:
    changes = json.loads(two_versions.done("dvc", "diff", "HEAD", "--json"))
    assert {change["path"] for change in changes["modified"]} >= {"data/split/", "data/split/manifest.parquet"}
    assert "reports/split.json" in {change["path"] for change in changes["modified"]}


def test_metrics_tell_by_how_much(two_versions: Project) -> None:
    said = two_versions.done("dvc", "metrics", "diff", "HEAD", "--json")
    difference = json.loads(said[said.index("{") :])["reports/split.json"]  # behind a warning: nothing is evaluated yet
    assert sum(difference[f"images.{split}.healthy"]["diff"] for split in ("train", "validation", "test")) == 8
    assert not any(key.startswith("images.test.covid19") for key in difference)


def test_another_clone_pulls_the_split_and_finds_it_up_to_date(two_versions: Project, tmp_path: Path) -> None:
    two_versions.done("dvc", "remote", "add", "--local", "store", str(tmp_path / "store"))
    two_versions.done("dvc", "push", "--remote", "store", "build_split")
    commit(two_versions)
    subprocess.run(["git", "clone", "-q", str(two_versions.folder), str(tmp_path / "clone")], check=True)
    clone = Project(tmp_path / "clone")
    clone.done("dvc", "remote", "add", "--local", "store", str(tmp_path / "store"))
    clone.done("dvc", "pull", "--remote", "store", "build_split")
    mine, theirs = (read_manifest(project.folder / MANIFEST) for project in (two_versions, clone))
    assert mine.equals(theirs)
    assert "up to date" in clone.done("dvc", "status", "build_split")


def test_the_command_line_builds_and_then_finds_nothing_to_do(two_versions: Project) -> None:
    assert "didn't change, skipping" in two_versions.done("flows", "data", "build")
