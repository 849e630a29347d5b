"""What commands that go through files tell at their end: exit codes."""

from typing import Final

SOME_FAILED: Final = 3
"""Some files have no answer, and the others have one."""


def code_of(n_failed: int, n_files: int) -> int:
    """Return the exit code: 0 if every file has an answer, SOME_FAILED if some have, 1 if none has."""
    if n_failed == 0:
        return 0
    return 1 if n_failed == n_files else SOME_FAILED
