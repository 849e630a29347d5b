"""The state of a training behind its last finished epochs, in the stage's resume folder.

Two are kept: where the newer one turns out to be damaged, training resumes from the older one.
"""

import io
from pathlib import Path
from typing import Any, Final

import torch

from coronet_core.learning.loop import EpochEnd
from coronet_core.learning.ranks import Ranks
from coronet_core.support.whole_files import write_sealed
from tasks.runtime.resume import read_kept, set_aside

GENERATIONS: Final = 2

Checkpoint = dict[str, Any]
"""Tensors and plain values, as `fit` takes them."""


def save_checkpoint(folder: Path, end: EpochEnd) -> None:
    """Keep the state of training after an epoch, whole or not at all, and that of the epoch before it."""
    buffer = io.BytesIO()
    torch.save(end.checkpoint(), buffer)
    write_sealed(folder / f"epoch-{int(end.metrics['epoch']):05d}.checkpoint", buffer.getbuffer())
    for older in _newest_first(folder)[GENERATIONS:]:
        older.unlink()


def load_checkpoint(folder: Path | None, ranks: Ranks) -> Checkpoint | None:
    """Return the last checkpoint that is whole, its tensors on the CPU, or None if there is none.

    It is the leader's `folder` that counts, for all ranks: the others may be on hosts that do not share it. A damaged
    checkpoint is set aside.
    """
    content = ranks.broadcast_bytes(None if folder is None else _last_whole(folder))
    return None if content is None else _loaded(content)


def _last_whole(folder: Path) -> bytes | None:
    for path in _newest_first(folder):
        content = read_kept(path)
        if content is not None and _is_readable(content):
            return content
        if content is not None:
            set_aside(path, folder)
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.checkpoint"), reverse=True)


def _is_readable(content: bytes) -> bool:
    """Whether this torch reads what was written: that may have been a later one."""
    try:
        _loaded(content)
    except Exception:  # noqa: BLE001  # torch raises whatever its pickles raise, with advice to trust the file
        return False
    return True


def _loaded(content: bytes) -> Checkpoint:
    checkpoint: Checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return checkpoint
