"""The garbage collector around imports, and in processes that import as they go."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tasks.collector import SELDOM, collect_seldom, imports_spared


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_nothing_is_collected_while_imports_last_and_never_what_they_made() -> None:
    gc.unfreeze()
    with imports_spared():
        assert not gc.isenabled()
        imported = [[]]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is imported for one in gc.get_objects())


def test_the_collector_is_back_after_an_import_that_fails() -> None:
    with pytest.raises(ImportError), imports_spared():
        raise ImportError
    assert gc.isenabled()


def test_a_process_that_imports_as_it_goes_collects_seldom() -> None:
    collect_seldom()
    assert gc.get_threshold()[0] == SELDOM


def test_a_quick_end_freezes_and_loses_no_word() -> None:
    code = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "from tasks.collector import end_quickly; end_quickly()\n"
        "print('a word'); raise SystemExit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.split()) == (3, ["a", "word", "True"])


def test_training_says_nothing_of_leaks_at_its_end() -> None:
    """Triton, which comes with Adam, counts what is left of it."""
    code = (
        "from tasks.collector import imports_spared\n"
        "with imports_spared(): import torch\n"
        "weights = torch.nn.Parameter(torch.ones(2)); optimiser = torch.optim.Adam([weights])\n"
        "weights.sum().backward(); optimiser.step()"
    )
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
