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
        _end_quickly()


def collect_seldom() -> None:
    """Look for garbage seldom, in a process that imports as it goes and holds no tensors."""
    gc.set_threshold(SELDOM)
    _end_quickly()


def _end_quickly() -> None:
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
