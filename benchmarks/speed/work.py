"""What is timed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Work:
    """One way of an operation, ready to run."""

    action: Callable[[], object]
    """What is timed."""
    result: Callable[[], NDArray[np.float64]]
    """What the action came to, to compare the ways."""
