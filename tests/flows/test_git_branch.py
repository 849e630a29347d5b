"""Commits on branches of their own: the clone that they are made in stays as it is."""

import subprocess
from pathlib import Path

import pytest

from coronet_core.support.errors import TransientError
from flows.project.git import changed_files, commit_on, new_files, push_branch

FILES = (Path("dvc.lock"), Path("params.yaml"))
BRANCH = "retrain/2026-11-28-0123abcd"


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone with a change in its index and another one in its files; git knows nobody here."""
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git("init", "-q", "-b", "main")
    for name in ("code.py", "dvc.lock", "params.yaml"):
        Path(name).write_text("before\n")
    git("add", ".")
    git("commit", "-qm", "start")
    Path("dvc.lock").write_text("after\n")
    Path("code.py").write_text("after\n")
    git("add", "code.py")


def state() -> list[str]:
    return [git("status", "--porcelain"), git("branch", "--show-current"), git("rev-parse", "HEAD")]


def test_the_branch_has_the_files_and_nothing_else_is_touched() -> None:
    before = state()
    commit = commit_on(BRANCH, FILES, "Retrain\n\naccuracy 93.8%")
    assert state() == before
    assert git("rev-parse", BRANCH).strip() == commit
    assert git("rev-parse", f"{BRANCH}^") == git("rev-parse", "main")
    assert git("diff", "--name-only", "main", BRANCH).split() == ["dvc.lock"]
    assert git("show", f"{BRANCH}:dvc.lock") == "after\n"
    assert git("show", "--no-patch", "--format=%s by %an", BRANCH).strip() == "Retrain by CoroNet"


def test_the_same_again_is_no_new_commit_and_other_files_are_one_behind_it() -> None:
    first = commit_on(BRANCH, FILES, "Retrain")
    assert commit_on(BRANCH, FILES, "Retrain") == first
    Path("params.yaml").write_text("after\n")
    second = commit_on(BRANCH, FILES, "Retrain")
    assert git("rev-parse", f"{second}^").strip() == first
    assert git("show", f"{BRANCH}:params.yaml") == "after\n"


def test_files_that_differ_are_named_but_those_that_may() -> None:
    assert changed_files(*FILES) == ["code.py"]
    assert changed_files(Path("code.py")) == ["dvc.lock"]


def test_new_files_are_named_but_those_that_git_ignores() -> None:
    for name in ("tasks/new.py", "tasks/kept.tmp", "notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    Path(".git/info/exclude").write_text("*.tmp\n")
    assert new_files("tasks", "coronet_core") == ["tasks/new.py"]


def test_a_branch_is_pushed_where_there_is_an_origin(tmp_path: Path) -> None:
    commit = commit_on(BRANCH, FILES, "Retrain")
    assert not push_branch(BRANCH)
    git("remote", "add", "origin", str(tmp_path / "origin.git"))
    with pytest.raises(TransientError, match=f"git push origin {BRANCH}: .*Push it when the remote is available"):
        push_branch(BRANCH)
    git("init", "-q", "--bare", str(tmp_path / "origin.git"))
    assert push_branch(BRANCH)
    assert git("ls-remote", "origin", f"refs/heads/{BRANCH}").split()[0] == commit
