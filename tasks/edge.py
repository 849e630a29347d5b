"""The one place where errors of the project end: a line on standard error each, and an exit code."""

import sys
from collections.abc import Callable

from coronet_core.errors import CoroNetError


def exit_code(action: Callable[[], object]) -> int:
    """Run `action`; returns 0, or 1 after having said what went wrong."""
    try:
        action()
    except CoroNetError as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    return 0
