"""Programs whose output is a terminal."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_a_terminal(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[str, int]:
    """Return what a program writes to a pseudo-terminal, and its exit code."""
    ours, its = pty.openpty()
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=its, stderr=its) as process:
        os.close(its)
        written = b""
        while part := _read(ours):
            written += part
        os.close(ours)
    return written.decode(), process.returncode


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""
