"""Leases on GPUs that are names, among real processes."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import IO

import pytest

from coronet_core.support.errors import CoroNetError
from tasks.runtime.compute.gpu_locks import lease, lease_folder
from tests.conftest import PROJECT

PROGRAM = """
import sys
from pathlib import Path
from tasks.runtime.compute.gpu_locks import lease
gpus, n, per_gpu, folder = sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
def on_wait(taken):
    print("waiting for", *taken, flush=True)
print("got", *lease(gpus, n, per_gpu, folder, on_wait), flush=True)
sys.stdin.read()
"""
TIMELINE_PROGRAM = """
import sys, time
from pathlib import Path
from tasks.runtime.compute.gpu_locks import lease
got = lease(["a", "b"], int(sys.argv[2]), 1, Path(sys.argv[1]), lambda _: None)
began = time.monotonic()
time.sleep(0.3)
print(*got, began, time.monotonic(), flush=True)
"""
Holder = subprocess.Popen[str]
Start = Callable[..., Holder]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a process which leases and then keeps what it got until its input ends."""
    with ExitStack() as stack:

        def begin(gpus: str, n: int = 1, per_gpu: int = 1) -> Holder:
            arguments = [gpus, str(n), str(per_gpu), str(tmp_path)]
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *arguments],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def said(process: Holder) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_never_hold_one_slot(start: Start) -> None:
    first = start("a")
    assert said(first) == "got a"
    second = start("a")
    assert said(second) == "waiting for a"
    end(first)
    assert said(second) == "got a"


def end(process: Holder) -> None:
    stdin: IO[str] | None = process.stdin
    assert stdin is not None
    stdin.close()
    process.wait()


def test_the_kernel_frees_the_lease_of_a_killed_process(start: Start) -> None:
    first = start("a")
    assert said(first) == "got a"
    first.kill()
    first.wait()
    assert said(start("a")) == "got a"


def test_a_gpu_is_shared_by_as_many_as_may(start: Start) -> None:
    holders = [start("a", per_gpu=2) for _ in range(2)]
    assert [said(holder) for holder in holders] == ["got a", "got a"]
    assert said(start("a", per_gpu=2)) == "waiting for a"


def test_a_stage_that_wants_a_gpu_for_itself_waits_for_those_that_would_share(start: Start) -> None:
    assert said(start("a", per_gpu=2)) == "got a"
    assert said(start("a", per_gpu=1)) == "waiting for a"


def test_a_stage_that_would_share_waits_for_one_that_would_not(start: Start) -> None:
    assert said(start("a", per_gpu=1)) == "got a"
    assert said(start("a", per_gpu=2)) == "waiting for a"


def test_an_unused_gpu_is_taken_before_a_shared_one(start: Start) -> None:
    assert said(start("a,b", per_gpu=2)) == "got a"
    assert said(start("a,b", per_gpu=2)) == "got b"


def test_who_needs_two_holds_none_while_it_waits(start: Start) -> None:
    assert said(start("a")) == "got a"
    assert said(start("a,b", n=2)) == "waiting for a"
    assert said(start("b")) == "got b"


def test_a_waiting_process_says_so_once(start: Start) -> None:
    first, second = start("a"), start("a")
    words = {said(first), said(second)}
    assert words == {"got a", "waiting for a"}
    time.sleep(1.5)  # three tries
    first.kill()
    second.kill()
    assert first.stdout is not None
    assert second.stdout is not None
    assert "waiting" not in first.stdout.read() + second.stdout.read()


def test_competing_pairs_take_turns_and_never_overlap(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TIMELINE_PROGRAM, str(tmp_path), str(n)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in (2, 2, 1, 2)
    ]
    spans: dict[str, list[tuple[float, float]]] = {"a": [], "b": []}
    for process in processes:
        output, _ = process.communicate(timeout=60)
        *gpus, began, ended = output.split()
        for gpu in gpus:
            spans[gpu].append((float(began), float(ended)))
    assert sum(map(len, spans.values())) == 7
    for held in spans.values():
        in_order = sorted(held)
        assert all(ended <= began for (_, ended), (began, _) in pairwise(in_order))


def test_more_gpus_than_there_are_is_a_mistake_and_not_a_wait(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 GPUs wanted of 1"):
        lease(["a"], 2, 1, tmp_path, lambda _: None)


def test_a_folder_of_leases_that_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = lease_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(CoroNetError, match="not a folder of this user's"):
        lease_folder()
