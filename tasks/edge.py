"""The one place where errors end: a line on standard error each, and an exit code that tells whether to try again."""

import errno
import os
import sys
from collections.abc import Callable
from typing import Final

from coronet_core.errors import CoroNetError, TransientError

ERROR_PREFIX: Final = "error: "
TRANSIENT_EXIT: Final = os.EX_TEMPFAIL
"""Exit code of what may succeed when it is tried again."""
FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT)
TRANSIENT_ERRNOS: Final = (errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ENETDOWN, errno.ENETUNREACH)


def exit_code(action: Callable[[], object]) -> int:
    """Run `action`; returns 0, or after having said what went wrong 1, or TRANSIENT_EXIT where trying again may help.

    What nobody has foreseen is raised: its traceback is for whoever mends it.
    """
    try:
        action()
    except CoroNetError as error:
        return _say(str(error), TRANSIENT_EXIT if isinstance(error, TransientError) else 1)
    except MemoryError as error:
        return _say(f"out of memory ({error or 'RAM'}). Lower this stage's batch size, or use a machine with more.")
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's; named so that nothing has to import torch here
            raise
        return _say(f"out of GPU memory ({_first_line(error)}). Lower the batch size of this stage.")
    except OSError as error:
        return _say_of_os(error)
    return 0


def _say_of_os(error: OSError) -> int:
    if error.errno in FULL_DISK:
        place = f" at {error.filename}" if error.filename else ""
        return _say(f"the disk is full{place}. Free some space: the same command goes on where it was.")
    if isinstance(error, ConnectionError | TimeoutError) or error.errno in TRANSIENT_ERRNOS:
        return _say(f"{type(error).__name__}: {error}. Trying again may help.", TRANSIENT_EXIT)
    raise error


def _say(message: str, code: int = 1) -> int:
    print("\n".join(ERROR_PREFIX + line for line in message.splitlines()), file=sys.stderr)
    return code


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
