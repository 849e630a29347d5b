"""Faults between hosts."""

from coronet_core.errors import CoroNetError


class UnreachableError(CoroNetError):
    """Something between the hosts did not answer; the same may succeed a little later."""
