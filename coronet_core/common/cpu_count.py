"""How many CPU cores this process may use."""

import os


def usable_cores() -> int:
    """Return the cores that the scheduler grants, which on shared machines are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
