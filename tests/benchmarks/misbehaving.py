"""Measurements that go wrong, for the command's process to run."""

import os
import time

from benchmarks.gpu.bench import Bench


def find_one(bench: Bench) -> None:
    bench.row(f"{bench.measurement}: found", lambda: {"images_per_s": 2.0})


def find_one_and_hang(bench: Bench) -> None:
    find_one(bench)
    time.sleep(3600)


def fail(bench: Bench) -> None:
    bench.row(f"{bench.measurement}: row", lambda: {"never": 1 / 0})
    find_one(bench)


def fail_as_a_whole(_: Bench) -> None:
    raise ValueError("not even a row\nand a traceback")


def crash(bench: Bench) -> None:
    find_one(bench)
    os.kill(os.getpid(), 9)


def break_cuda(bench: Bench) -> None:
    bench.row(f"{bench.measurement}: row", _use_a_broken_context)


def _use_a_broken_context() -> dict[str, float]:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
