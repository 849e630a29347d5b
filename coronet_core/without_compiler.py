"""torchvision without torch's compiler, which it imports to ask about RoIAlign, an operator that no network here has.

The compiler takes longer to import (1.6 s) than torch itself, and whoever answers for one X-ray, or runs a stage that
trains nothing, has no use for it. `docs/decisions/0018-torchvision-without-the-compiler.md`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

COMPILER: Final = "torch._dynamo"
UTILITIES: Final = f"{COMPILER}.utils"


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """Import torchvision within this. Whoever asks for the compiler later gets the real one.

    Meanwhile an empty module stands in for it, which says that RoIAlign cannot be compiled; eager it is right as well.
    Where the compiler is there already nothing is done.
    """
    if COMPILER in sys.modules:
        yield
        return
    stand_ins = {name: ModuleType(name) for name in (COMPILER, UTILITIES)}
    stand_ins[UTILITIES].is_compile_supported = lambda _device_type: False  # type: ignore[attr-defined]
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
