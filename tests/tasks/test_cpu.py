"""A process's share of the CPU."""

import subprocess
import sys

import pytest
import torch

FAULTS = """
import resource, sys
import numpy as np
from tasks.runtime.compute.cpu import keep_freed_memory

def faults_of_a_pass():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**24)  # 128 MiB: 32,768 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if "keep" in sys.argv:
    assert keep_freed_memory()
faults_of_a_pass()
print(faults_of_a_pass())
"""
ARENAS = """
import ctypes, sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np
from tasks.runtime.compute.cpu import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()
at_once = Barrier(4)

def allocate(_):
    at_once.wait(60)
    return np.ones(2**20)

with ThreadPoolExecutor(4) as threads:
    list(threads.map(allocate, range(4)))
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
DENORMALS = """
from threading import Thread
import torch
from tasks.runtime.compute.cpu import use_cpu_threads

use_cpu_threads(share=1)
torch.set_num_threads(2)
tiny = torch.full((2**20,), 1e-39)  # so many that both threads have some
print(int((tiny * 1.0).count_nonzero()))
another = Thread(target=lambda: print(int((tiny * 1.0).count_nonzero())))
another.start()
another.join()
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a feature of glibc")


def output(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_memory_that_a_pass_has_freed_is_there_for_the_next_one() -> None:
    assert int(output(FAULTS, "keep")) < 100 < int(output(FAULTS))


def test_denormal_numbers_are_zero_in_all_threads() -> None:
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot take denormal numbers for zero")
    assert output(DENORMALS).split() == ["0", "0"]


@pytest.mark.slow
def test_threads_share_one_arena() -> None:
    assert output(ARENAS, "keep").count("<heap nr=") == 1 < output(ARENAS).count("<heap nr=")
