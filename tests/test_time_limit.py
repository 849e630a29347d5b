"""A run whose time is limited begins no slow test after it, nor what such a test needs; other tests come before."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import PROJECT, UNTIL

TESTS = """
import pytest

@pytest.fixture
def costly():
    print("COSTLY")

@pytest.mark.slow
def test_slow(costly):
    print("SLOW")

def test_fast():
    print("FAST")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("seconds_left", "done"), [(3600, ["FAST", "COSTLY", "SLOW"]), (-1, ["FAST"])])
def test_slow_tests_are_not_begun_when_their_time_is_up(tmp_path: Path, seconds_left: int, done: list[str]) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-s", "-p", "tests.conftest", "-o", "markers=slow", "test_some.py"],
        cwd=tmp_path,
        env=os.environ | {UNTIL: str(time.time() + seconds_left), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [word for word in run.stdout.replace(".", " ").split() if word in {"FAST", "COSTLY", "SLOW"}] == done
    assert ("too slow to run all tests" in run.stdout) == (seconds_left < 0)
