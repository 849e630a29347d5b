"""What a reproduction is run in: the commit, the params and the data of a version."""

import json
import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from coronet_core.support.errors import CoroNetError, DataError
from flows.pipeline.reproduce_version import _open
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import DVC_LOCK, MANIFEST, STATE
from tests.integration.conftest import make_project
from tests.tasks.trained_model import some_lineage

FOLDER = STATE / "reproductions" / "digest"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path / "coronet").folder)
    return tmp_path / "coronet"


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def opened(**changes: object) -> Path:
    fields = {"commit": git("rev-parse", "HEAD"), "params": {"seed": 7, "data": {"root": "data/raw"}}, "data": {}}
    _open(FOLDER, some_lineage(**(fields | changes)))
    return FOLDER


def test_it_has_the_code_of_the_commit_whatever_the_clone_has_now(project: Path) -> None:
    before = git("rev-parse", "HEAD")
    (project / "tasks" / "new.py").write_text('"""New."""\n')
    git("add", ".")
    git("commit", "-qm", "new")
    assert not (opened(commit=before) / "tasks" / "new.py").exists()
    assert (opened() / "tasks" / "new.py").exists()


@pytest.mark.usefixtures("project")
def test_it_has_the_params_of_the_version_and_those_that_it_does_not_name_of_the_commit() -> None:
    given = read_params()
    found = read_params(opened(params={"seed": 7, "data": {"root": "data/raw"}, "cin": {"epochs": 99}}) / "params.yaml")
    assert (found.seed, found.cin.epochs) == (7, 99)
    assert (found.cin.batch_size, found.device) == (given.cin.batch_size, given.device)


def test_it_has_raw_data_and_cache_of_the_clone(project: Path) -> None:
    folder = opened()
    assert (folder / "data" / "raw").samefile(project / "data" / "raw")
    with Repo(str(project)) as ours, Repo(str(folder)) as theirs:
        assert theirs.cache.local.path == ours.cache.local.path


def test_it_starts_without_a_lock_and_keeps_its_own(project: Path) -> None:
    (project / DVC_LOCK).write_text("schema: '2.0'\nstages: {}\n")
    git("add", str(DVC_LOCK))
    git("commit", "-qm", "lock")
    assert not (opened() / DVC_LOCK).exists()
    (FOLDER / DVC_LOCK).write_text("schema: '2.0'\n")
    assert (opened() / DVC_LOCK).read_text() == "schema: '2.0'\n"
    (FOLDER / DVC_LOCK).write_text("schema: '2.0'\nstages:\n  evaluate:\n    cm")
    assert not (opened() / DVC_LOCK).exists()


def test_the_manifest_of_the_version_comes_from_the_cache(project: Path) -> None:
    (project / "kept").mkdir()
    (project / "kept" / MANIFEST.name).write_bytes(b"rows")
    with Repo(".") as repo:
        repo.add("kept")
        md5 = repo.stage.load_all("kept.dvc")[0].outs[0].hash_info.value
    (project / "kept" / MANIFEST.name).unlink()
    assert (opened(data={"data/split": md5}) / MANIFEST).read_bytes() == b"rows"


def test_a_listing_in_the_cache_leads_to_no_other_file(project: Path) -> None:
    (project / "secret").write_text("of somebody else")
    with Repo(".") as repo:
        listing = Path(repo.cache.local.oid_to_path("ab" * 16 + ".dir"))
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text(json.dumps([{"relpath": MANIFEST.name, "md5": "../../../../../secret"}]))
    with pytest.raises(DataError, match=r"digest .* is refused"):
        opened(data={"data/split": "ab" * 16 + ".dir"})


@pytest.mark.usefixtures("project")
def test_a_manifest_that_the_cache_has_lost_is_made_anew() -> None:
    assert not (opened(data={"data/split": "0" * 32 + ".dir"}) / MANIFEST).exists()


@pytest.mark.usefixtures("project")
def test_a_commit_that_is_nowhere_is_told() -> None:
    with pytest.raises(CoroNetError, match="this clone has neither commit aaaaaaaaaaaa nor a git remote"):
        opened(commit="a" * 40)


def test_the_clone_is_left_as_it_was(project: Path) -> None:
    before = {path: path.read_bytes() for path in (project / "params.yaml", project / "dvc.yaml")}
    opened()
    assert git("status", "--porcelain") == ""
    assert {path: path.read_bytes() for path in before} == before
    assert git("rev-parse", "--abbrev-ref", "HEAD") != "HEAD"
