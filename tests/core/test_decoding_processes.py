"""Decoding in processes with limits: whatever a file does to its process, it is one refused file."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from coronet_core.common.literals import Aspect
from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.data.reading.image import decode
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError

CONTENT = phantom.records({"healthy": 1}, 1, 64, seed=3).records[0].read()
MEMORY_BYTES = 256 * 2**20


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(2, cpu_s=1.0, memory_bytes=MEMORY_BYTES) as processes:
        yield processes


def compute() -> None:
    while True:
        pass


def allocate() -> None:
    bytearray(2 * MEMORY_BYTES)


def crash(number: int) -> None:
    os.kill(os.getpid(), number)


def crash_once(flag: Path) -> str:
    if flag.exists():
        return "second"
    flag.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wait_beside(flag: Path) -> None:
    flag.write_text(str(os.getpid()))
    time.sleep(60)


def wait_for(flag: Path) -> None:
    while not flag.exists() or not flag.read_text():
        time.sleep(0.05)


def wait_until_gone(flag: Path) -> None:
    until = time.monotonic() + 20
    while psutil.pid_exists(int(flag.read_text())):
        assert time.monotonic() < until
        time.sleep(0.05)


def refuse() -> None:
    raise DataError("zero variance")


def test_an_image_is_the_one_that_this_process_would_decode(decoders: Decoders) -> None:
    there, here = (by(CONTENT, 64, Aspect.STRETCH, 2) for by in (decoders.decode, decode))
    assert (there.pixels == here.pixels).all()
    assert (there.facts, there.upright_px, there.sha256) == (here.facts, here.upright_px, here.sha256)


@pytest.mark.parametrize(
    ("action", "arguments", "reason"),
    [
        (compute, (), "takes more than 1 s to decode"),
        (allocate, (), "takes too much memory to decode"),
        (crash, (signal.SIGSEGV,), r"crashes its decoder \(SIGSEGV\)"),
        (crash, (signal.SIGKILL,), r"crashes its decoder \(SIGKILL\)"),
        (refuse, (), "zero variance"),
    ],
)
def test_what_takes_too_much_is_refused_and_the_next_is_decoded(
    decoders: Decoders, action: object, arguments: tuple[int, ...], reason: str
) -> None:
    with ThreadPoolExecutor(1) as thread:
        beside = thread.submit(decoders.decode, CONTENT, 64, Aspect.STRETCH, 2)
        with pytest.raises(DataError, match=reason):
            decoders.run(action, *arguments)  # type: ignore[arg-type]
        assert beside.result().upright_px == (96, 96)


def test_a_process_that_something_else_has_killed_is_not_the_files_fault(decoders: Decoders, tmp_path: Path) -> None:
    assert decoders.run(crash_once, tmp_path / "flag") == "second"


def test_where_less_is_allowed_anyway_files_are_decoded_within_that() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "from coronet_core.data.isolated_decoding.decoding_processes import Decoders\n"
        "with Decoders(1) as decoders:\n"
        "    print(decoders.run(len, b'four'))\n"
        "    decoders.run(bytearray, 3 * 2**30)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stdout == "4\n", run.stderr
    assert "takes too much memory to decode" in run.stderr


def test_a_picture_that_is_too_large_is_refused_without_a_warning() -> None:
    program = (
        "import io\n"
        "from PIL import Image\n"
        "from coronet_core.common.literals import Aspect\n"
        "from coronet_core.data.isolated_decoding.decoding_processes import Decoders\n"
        "large = io.BytesIO()\n"
        "Image.new('1', (12_000, 12_000)).save(large, 'PNG')\n"
        "with Decoders(1) as decoders:\n"
        "    try:\n"
        "        decoders.decode(large.getvalue(), 64, Aspect.STRETCH, 2)\n"
        "    except Exception as error:\n"
        "        print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("decompression bomb\n", "")


def test_work_that_is_cancelled_ends(decoders: Decoders, tmp_path: Path) -> None:
    flag = tmp_path / "pid"

    async def cancelled() -> None:
        work = asyncio.ensure_future(decoders.run_async(wait_beside, flag))
        await asyncio.to_thread(wait_for, flag)
        work.cancel()
        await asyncio.wait({work})
        assert work.cancelled()

    asyncio.run(cancelled())
    wait_until_gone(flag)


def test_what_comes_after_cancelled_work_is_done() -> None:
    async def cancel_and_go_on() -> None:
        with Decoders(1) as decoders:
            for number in range(60):
                work = asyncio.ensure_future(decoders.run_async(time.sleep, 0.002))
                await asyncio.sleep(0.00006 * number)
                work.cancel()
                assert await decoders.run_async(len, b"four") == 4

    asyncio.run(cancel_and_go_on())


def test_no_process_is_left(tmp_path: Path) -> None:
    flag = tmp_path / "pid"
    with Decoders(1) as processes, ThreadPoolExecutor(1) as thread:
        future = thread.submit(processes.run, wait_beside, flag)
        wait_for(flag)
        processes.close()
        assert future.exception() is not None
    wait_until_gone(flag)
