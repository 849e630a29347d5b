"""The one place where errors are caught: one line on standard error, and an exit code that says whether to retry."""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from coronet_core.support.credentials import hide_in_logs, without_credentials
from coronet_core.support.errors import CoroNetError, TransientError
from coronet_core.support.whole_files import disk_is_full
from tasks.runtime.resource_limits import file_too_large, first_line, out_of_memory, what_to_lower
from tasks.runtime.safe_text.terminal import printable

ERROR_PREFIX: Final = "error: "
TRANSIENT_EXIT: Final = os.EX_TEMPFAIL
"""Exit code of errors for which trying again may help."""
FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT)
NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
TRANSIENT_ERRNOS: Final = (errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ENETDOWN, errno.ENETUNREACH)


def exit_code(action: Callable[[], object], stage: str | None = None) -> int:
    """Run `action`; returns 0 or, after printing the error, 1, or TRANSIENT_EXIT where trying again may help.

    An action with an exit code of its own returns it. Of a `stage`, errors say which of its params to lower.

    Unexpected errors are shown with their traceback. Addresses are shown without their credentials, there and in
    the log lines of libraries.
    """
    hide_in_logs()
    try:
        own_code = action()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
        reported = known_error(error, stage)
        if reported is None:
            print(without_credentials(traceback.format_exc()), end="", file=sys.stderr)
            return 1
        return _print_error(str(reported), TRANSIENT_EXIT if isinstance(reported, TransientError) else 1)
    return own_code if isinstance(own_code, int) else 0


def known_error(error: Exception, stage: str | None = None) -> CoroNetError | None:
    """Return `error` of `stage` as shown to users: TransientError where trying again may help; None: unexpected."""
    if isinstance(error, CoroNetError):
        return error
    if at_limit := out_of_memory(error, stage) or file_too_large(error, stage):
        return at_limit
    match error:
        case RuntimeError() if type(error).__name__ == "OutOfMemoryError":  # torch's; nothing has to import torch here
            return CoroNetError(f"out of GPU memory ({first_line(error)}). {what_to_lower(stage)}.")
        case OSError() | RuntimeError() | SafetensorError() if _is_of_full_disk(error):
            place = f" at {error.filename}" if isinstance(error, OSError) and error.filename else ""
            return CoroNetError(f"the disk is full{place}. Free some space: the same command resumes where it stopped.")
        case OSError():
            return _of_access_or_network(error)
    return None


def _of_access_or_network(error: OSError) -> CoroNetError | None:
    if error.errno in NOT_ALLOWED:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return CoroNetError(f"{reason}. Change the permissions, or work in a clone of your own.")
    if isinstance(error, ConnectionError | TimeoutError) or error.errno in TRANSIENT_ERRNOS:
        return TransientError(f"{type(error).__name__}: {error}. Trying again may help.")
    return None


def _is_of_full_disk(error: Exception) -> bool:
    """Whether the cause is a full disk. Libraries that do their own writing report positions and counts instead."""
    return (isinstance(error, OSError) and error.errno in FULL_DISK) or disk_is_full(Path.cwd())


def _print_error(message: str, code: int) -> int:
    print("\n".join(ERROR_PREFIX + printable(line) for line in message.splitlines()), file=sys.stderr)
    return code
