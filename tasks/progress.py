"""What a stage says while it works: a bar on a terminal, plain lines in a log."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm


def say(line: str) -> None:
    """Print one line, above the bar if there is one."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


class Progress:
    """A bar with rate and time left, silent when standard error is not a terminal."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        self._bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", disable=None, leave=False)

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as done."""
        self._bar.update(n)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()
