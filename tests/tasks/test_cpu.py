"""A process's share of the CPU."""

import subprocess
import sys

import pytest

PROGRAM = """
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a feature of glibc")
def test_memory_that_a_pass_has_freed_is_there_for_the_next_one() -> None:
    def faults(*arguments: str) -> int:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < 100 < faults()
