"""A disk in memory, as small as a test needs it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def disk_in_memory(folder: Path, size: str) -> Iterator[None]:
    """A disk of `size` (such as 120m) mounted at `folder`, which is made. Skips where that is not allowed."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    mount(folder, f"size={size}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(folder: Path, *options: str) -> None:
    """Mount a disk in memory, or change the one that is there. Skips where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"needs a small disk, which cannot be mounted here: {mounted.stderr.strip()}")
