"""Files that are whole or not there, and folders to resume from."""

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from coronet_core.support.whole_files import write_whole
from tasks.runtime.files import digest, nulls_for_nan, publish_folder, write_json, write_text
from tasks.runtime.resume import resume_folder


class DiskUsage(NamedTuple):
    free: int


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_text(path, "old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, fail)
    assert path.read_text() == "old"


def test_a_write_that_fails_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise RuntimeError("unexpected pos 704 vs 598")  # torch's words for it

    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(free=100))
    with pytest.raises(OSError, match="No space left on device") as raised:
        write_whole(tmp_path / "checkpoint.pt", fail)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "checkpoint.pt"))


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "metrics.json", {"accuracy": float("nan")})
    assert not (tmp_path / "metrics.json").exists()


def test_a_published_folder_replaces_the_old_one(tmp_path: Path) -> None:
    for name in ("new", "target"):
        write_text(tmp_path / name / f"{name}.txt", name)
    publish_folder(tmp_path / "new", tmp_path / "target", tmp_path / "aside")
    assert not (tmp_path / "aside").exists()
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["new.txt"]


def test_digests_tell_contents_and_values_apart(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_text(path, "one")
    before = digest(path, 1)
    assert digest(path, 2) != before
    write_text(path, "two")
    assert digest(path, 1) != before


def test_a_resume_folder_counts_for_the_same_work_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(resume_folder("train_cin", "work a") / "checkpoint.pt", "state")
    assert (resume_folder("train_cin", "work a") / "checkpoint.pt").exists()
    assert not (resume_folder("train_cin", "work b") / "checkpoint.pt").exists()


def test_nan_becomes_null_wherever_it_is() -> None:
    value = {"a": float("nan"), "b": [1.5, (float("nan"), 2)], "c": {"d": float("nan"), "e": "nan", "f": True}}
    assert nulls_for_nan(value) == {"a": None, "b": [1.5, [None, 2]], "c": {"d": None, "e": "nan", "f": True}}
