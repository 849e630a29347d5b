"""The one place where errors end: a line on standard error each, and an exit code that tells whether to try again."""

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
from tasks.runtime.external_text import printable

ERROR_PREFIX: Final = "error: "
TRANSIENT_EXIT: Final = os.EX_TEMPFAIL
"""Exit code of what may succeed when it is tried again."""
FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT)
TRANSIENT_ERRNOS: Final = (errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ENETDOWN, errno.ENETUNREACH)


def exit_code(action: Callable[[], object]) -> int:
    """Run `action`; returns 0 or, after having said what went wrong, 1 or TRANSIENT_EXIT where trying again may help.

    An action that has something of its own to tell by an exit code returns it.

    What nobody has foreseen is shown with its traceback, for whoever mends it. Addresses are shown without their
    credentials, there and in what libraries log.
    """
    hide_in_logs()
    try:
        own_code = action()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is shown
        told = known_error(error)
        if told is None:
            print(without_credentials(traceback.format_exc()), end="", file=sys.stderr)
            return 1
        return _say(str(told), TRANSIENT_EXIT if isinstance(told, TransientError) else 1)
    return own_code if isinstance(own_code, int) else 0


def known_error(error: Exception) -> CoroNetError | None:
    """Return what a user is told of `error`: TransientError where trying again may help; None if nobody foresaw it."""
    match error:
        case CoroNetError():
            return error
        case MemoryError():
            remedy = "Lower this stage's batch size, or use a machine with more."
            return CoroNetError(f"out of memory ({error or 'RAM'}). {remedy}")
        case RuntimeError() if type(error).__name__ == "OutOfMemoryError":  # torch's; nothing has to import torch here
            return CoroNetError(f"out of GPU memory ({_first_line(error)}). Lower the batch size of this stage.")
        case OSError() | RuntimeError() | SafetensorError() if _is_of_full_disk(error):
            place = f" at {error.filename}" if isinstance(error, OSError) and error.filename else ""
            return CoroNetError(f"the disk is full{place}. Free some space: the same command goes on where it was.")
        case OSError() if isinstance(error, ConnectionError | TimeoutError) or error.errno in TRANSIENT_ERRNOS:
            return TransientError(f"{type(error).__name__}: {error}. Trying again may help.")
    return None


def _is_of_full_disk(error: Exception) -> bool:
    """Whether a full disk is why; libraries that write for themselves tell positions and counts."""
    return (isinstance(error, OSError) and error.errno in FULL_DISK) or disk_is_full(Path.cwd())


def _say(message: str, code: int) -> int:
    print("\n".join(ERROR_PREFIX + printable(line) for line in message.splitlines()), file=sys.stderr)
    return code


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
