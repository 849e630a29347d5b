"""What is finished is on the disk before it is in place, whoever writes it."""

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from coronet_core.common.shards import write_shard
from coronet_core.common.weights import save_weights
from coronet_core.support.whole_files import flush, write_sealed, write_whole
from tasks.runtime.files import publish_folder, write_json, write_text
from tasks.runtime.tracking.run_record import RunRecord
from tests.conftest import PROJECT

Events = list[tuple[str, str]]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Events:
    """What is flushed and moved from now on, in order, by names in a folder of its own, which is the current one."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc, which tells the name of what is flushed")
    monkeypatch.chdir(tmp_path)
    seen: Events = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(descriptor: int) -> None:
        seen.append(("flush", Path(f"/proc/self/fd/{descriptor}").resolve().name))
        fsync(descriptor)

    def seen_replace(source: Path, target: Path) -> None:
        seen.append(("move", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    return seen


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("report.html", lambda path: write_text(path, "text")),
        ("metrics.json", lambda path: write_json(path, {"accuracy": 1.0})),
        ("cin.safetensors", lambda path: save_weights(nn.Linear(2, 1), path)),
        ("shard-00000.npy", lambda path: write_shard(path.parent, 0, np.zeros((2, 3)))),
        ("epoch-00001.checkpoint", lambda path: write_sealed(path, b"state")),
    ],
)
def test_a_file_is_flushed_before_it_is_put_in_place_and_its_folder_afterwards(
    events: Events, name: str, write: Callable[[Path], object]
) -> None:
    write(Path("outs", name))
    assert events == [("flush", f".{name}.partial"), ("move", name), ("flush", "outs")]


def test_a_published_folder_is_flushed_with_all_that_it_holds(events: Events) -> None:
    for path in (Path("work/new/a/one.npy"), Path("work/new/two.parquet"), Path("outs/target/old")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("written by a library")
    publish_folder(Path("work/new"), Path("outs/target"), Path("work/former"))
    moved = events.index(("move", "target"))
    assert {name for kind, name in events[:moved] if kind == "flush"} == {"new", "a", "one.npy", "two.parquet"}
    assert events[moved + 1 :] == [("flush", "outs")]


def test_an_event_of_a_record_is_flushed(events: Events) -> None:
    record = RunRecord.begin("stage", {}, name="stage", tags={}, parent=None)
    assert ("flush", "events.jsonl") in events[: events.index(("move", record.key))]
    events.clear()
    record.append("tags", values={})
    assert events == [("flush", "events.jsonl")]


def test_many_small_files_may_do_without(events: Events) -> None:
    write_whole(Path("image.dcm"), lambda partial: partial.write_bytes(b"checked later"), durable=False)
    assert events == [("move", "image.dcm")]


def test_links_are_not_followed(events: Events) -> None:
    Path("folder").mkdir()
    Path("folder/link").symlink_to("elsewhere")
    flush(Path("folder"))
    assert events == [("flush", "folder")]


MOVES_BY_ITSELF = {
    "coronet_core/support/whole_files.py": 2,
    "tasks/runtime/files.py": 1,  # the old folder, out of the way
    "tasks/runtime/resume.py": 1,  # a damaged file
    "tasks/raw_data/fetch.py": 2,  # a clone of git's, which checks it, and out of it
}
"""Moves of files, by module, that need no flush or make it themselves."""


def test_nothing_else_moves_files_into_place() -> None:
    found = {}
    for package in ("coronet_core", "tasks", "flows", "serving"):
        for path in (PROJECT / package).rglob("*.py"):
            if n_moves := sum(map(moves_a_file, ast.walk(ast.parse(path.read_text())))):
                found[path.relative_to(PROJECT).as_posix()] = n_moves
    assert found == MOVES_BY_ITSELF


def moves_a_file(node: ast.AST) -> bool:
    """Whether `node` is a call such as `path.replace(target)`; text has two arguments, dates have names for theirs."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return False
    is_by_os = isinstance(node.func.value, ast.Name) and node.func.value.id in {"os", "shutil"}
    return node.func.attr in {"replace", "rename", "move"} and len(node.args) == (2 if is_by_os else 1)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """New files are for everybody to read, as on most machines."""
    former = os.umask(0o022)
    yield
    os.umask(former)


@pytest.mark.usefixtures("usual_umask")
def test_a_private_file_is_for_its_owner_alone_from_its_first_byte_on(tmp_path: Path) -> None:
    path, seen = tmp_path / "names.csv", list[int]()

    def write(partial: Path) -> None:
        partial.write_text("Doe")
        seen.append(mode(partial))

    for former in (path, tmp_path / ".names.csv.partial"):  # of an earlier version, and of a killed process
        former.write_text("for everybody")
    write_whole(path, write, is_private=True)
    assert (seen, mode(path), path.read_text()) == ([0o600], 0o600, "Doe")


@pytest.mark.usefixtures("usual_umask")
def test_other_files_are_as_the_umask_says(tmp_path: Path) -> None:
    write_text(tmp_path / "report.html", "text")
    assert mode(tmp_path / "report.html") == 0o644


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
