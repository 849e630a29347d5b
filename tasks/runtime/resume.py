"""What a killed stage leaves for the next run of it: finished epochs and shards, outside DVC's outs.

DVC deletes a stage's outs before it runs the stage, so what is to survive a kill lies in `.coronet/resume/<stage>`.
It counts only for the same work: other params, inputs or code of the stage empty it. Damaged files are set aside.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from coronet_core.support.errors import DamagedFileError
from coronet_core.support.whole_files import put_in_place, read_sealed, write_sealed
from tasks.runtime.code_digest import code_digest, code_of_stage
from tasks.runtime.files import digest, publish_folder
from tasks.runtime.paths import STATE

Arrays = dict[str, NDArray[Any]]
DAMAGED: Final = ".{}.damaged"
"""Name of a damaged file that was set aside."""
STAMP = "work"
FORMER = "former"


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


def resume_folder(stage: str, work: str) -> Path:
    """Return the folder where `stage` keeps what it has finished of the work whose digest is `work`.

    `work` covers params and inputs; the code that `dvc.yaml` names for the stage is added here.
    """
    folder = STATE / "resume" / stage
    stamp, content = folder / STAMP, digest(work, code_digest(code_of_stage(stage))).encode()
    if read_kept(stamp) != content:
        discard(folder)
        write_sealed(stamp, content)
    return folder


def finish(folder: Path, outs: Path, target: Path) -> None:
    """Publish the folder `outs` of finished work as `target` and forget how it was made.

    The stamp goes first: killed in between, the next run starts anew instead of trusting what has moved away.
    """
    (folder / STAMP).unlink()
    publish_folder(outs, target, folder / FORMER)
    discard(folder)


def restore_former(stage: str, target: Path) -> None:
    """Bring back the `target` of a stage that was killed while it put another one in its place."""
    former = STATE / "resume" / stage / FORMER
    if former.exists() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(former, target)


def discard(folder: Path) -> None:
    """Delete a resume folder: its work is done."""
    shutil.rmtree(folder, ignore_errors=True)
