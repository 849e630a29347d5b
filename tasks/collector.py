"""Python's garbage collector, kept away from what imports make.

Imports make hundreds of thousands of objects that live until the end. By itself the collector looks through all of them
again and again while they are made, and several times more when the process ends: a quarter of what a short stage takes
(`benchmarks/LOG.md`).
"""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SELDOM: Final = 50_000
"""New objects after which the youngest are looked through; by itself Python does so after some hundreds."""


@contextmanager
def imports_spared() -> Iterator[None]:
    """Import within this. What is there afterwards is never looked through; what comes later is, as usual."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_seldom() -> None:
    """Look for garbage seldom, in a process that imports as it goes and holds no tensors."""
    gc.set_threshold(SELDOM)


def end_quickly() -> None:
    """Do not look for garbage when the process ends.

    Not where torch's compiler may be loaded: it brings Triton, which counts what is left of it and would tell
    of leaks.
    """
    atexit.register(gc.freeze)
