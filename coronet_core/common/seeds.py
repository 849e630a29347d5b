"""One seed in the params; every other random number is derived from it by name.

Streams are named, never shared: adding a consumer cannot shift the numbers another one draws, and a run that
resumes at epoch 7 draws the same numbers as one that was never stopped, without any generator state on disk.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream `names` of the run seed `seed`."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> "Generator":
    """Return a CPU generator for the stream `names`. Drawing on the CPU keeps runs equal across devices."""
    from torch import Generator  # late: making a split needs no torch, which takes seconds to load

    return Generator().manual_seed(derive_seed(seed, *names))
