"""Files that unfinished work leaves for the next run. Damaged ones are set aside and ignored."""

import io
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from coronet_core.support.errors import DamagedFileError
from coronet_core.support.whole_files import read_sealed, write_sealed

Arrays = dict[str, NDArray[Any]]
DAMAGED: Final = ".{}.damaged"
"""Name of a damaged file that was set aside."""


def read_kept(path: Path) -> bytes | None:
    """Return the content of a sealed file; None if there is none, or a damaged one, which is set aside."""
    try:
        return read_sealed(path)
    except FileNotFoundError:
        return None
    except DamagedFileError:
        set_aside(path, path.parent)
        return None


def keep_arrays(path: Path, arrays: Arrays) -> None:
    """Write named `arrays` as a sealed NPZ file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_sealed(path, buffer.getvalue())


def read_kept_arrays(path: Path) -> Arrays | None:
    """Return the arrays of a sealed NPZ file; None if there is none, or a damaged one, which is set aside."""
    content = read_kept(path)
    if content is None:
        return None
    with np.load(io.BytesIO(content)) as file:
        return dict(file)


def set_aside(damaged: Path, folder: Path) -> None:
    """Move a damaged file or folder into `folder`, under a name that nothing reads, and report it on standard error."""
    aside = folder / DAMAGED.format(damaged.name)
    damaged.replace(aside)
    tqdm.write(f"warning: {damaged} is damaged: moved to {aside}, continuing without it", file=sys.stderr)
