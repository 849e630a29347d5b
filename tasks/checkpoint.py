"""The state of a training behind its last finished epoch, in the stage's resume folder."""

import io
from pathlib import Path
from typing import Any

import torch

from coronet_core.ranks import Ranks
from coronet_core.training.loop import EpochEnd
from tasks.files import write_whole


def save_checkpoint(folder: Path, end: EpochEnd) -> None:
    """Keep the state of training after an epoch, whole or not at all."""
    write_whole(folder / "checkpoint.pt", lambda partial: torch.save(end.checkpoint(), partial))


def load_checkpoint(folder: Path | None, ranks: Ranks) -> dict[str, Any] | None:
    """Return the last checkpoint, its tensors on the CPU, or None if there is none.

    It is the leader's `folder` that counts, for all ranks: the others may be on hosts that do not share it.
    """
    path = None if folder is None else folder / "checkpoint.pt"
    content = ranks.received(path.read_bytes() if path is not None and path.is_file() else None)
    if content is None:
        return None
    checkpoint: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return checkpoint
