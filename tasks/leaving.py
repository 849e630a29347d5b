"""The end of a process whose work is done."""

import atexit
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End this process with the exit code `code`, its exit functions called and its words written.

    Python would then take all objects apart, one by one: a quarter of a second, and with Triton loaded, which counts
    what is left of it, pages about leaks. Threads are not waited for.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  # so do the processes of multiprocessing end
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
