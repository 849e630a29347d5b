"""Where errors end: what is said, and the exit code that tells whether to try again."""

import errno

import pytest
import torch

from coronet_core.support.errors import DataError, TransientError
from tasks.runtime.error_handling import TRANSIENT_EXIT, exit_code
from tasks.runtime.progress import log


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("a.png: empty"), 1, "error: a.png: empty"),
        (TransientError("busy"), TRANSIENT_EXIT, "error: busy"),
        (ConnectionResetError("by peer"), TRANSIENT_EXIT, "Trying again may help"),
        (TimeoutError("too late"), TRANSIENT_EXIT, "Trying again may help"),
        (OSError(errno.EIO, "Input/output error", "shard.npy"), TRANSIENT_EXIT, "shard.npy"),
        (OSError(errno.ENOSPC, "No space left", "shard.npy"), 1, "the disk is full at shard.npy. Free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "a.npy"), 1, "error: a.npy: Permission denied. Change the"),
        (
            OSError(errno.EROFS, "Read-only file system", "a.npy"),
            1,
            "a.npy: Read-only file system. Change the permissions",
        ),
        (MemoryError(), 1, "out of memory"),
        (torch.OutOfMemoryError("tried to allocate 9 GiB\nmore"), 1, "out of GPU memory (tried to allocate 9 GiB)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_foreseen_ends_in_a_line(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert exit_code(fail) == code
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


def test_an_error_line_cannot_move_the_terminals_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise DataError("tag \x1b[2J\u202eevil")

    exit_code(fail)
    assert capsys.readouterr().err == "error: tag \\x1b[2J\\u202eevil\n"


def test_a_log_line_cannot_move_the_terminals_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    log("source \x1b[2J\r\nprogress: {")
    assert capsys.readouterr().out == "source \\x1b[2J\\r\\nprogress: {\n"


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("another"), FileNotFoundError(2, "none", "x")])
def test_what_nobody_has_foreseen_is_shown_with_its_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    assert exit_code(fail) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.splitlines()[-1].startswith(f"{type(error).__name__}: ")


@pytest.mark.parametrize("error", [DataError, TransientError, ConnectionError, ValueError])
def test_no_error_shows_a_password(error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise error("http://alice:PASSWORD@127.0.0.1:9/api does not answer")

    assert exit_code(fail) != 0
    shown = capsys.readouterr().err
    assert "http://127.0.0.1:9/api does not answer" in shown
    assert "PASSWORD" not in shown
