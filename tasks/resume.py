"""What a killed stage leaves for the next run of it: finished epochs and shards, outside DVC's outs.

DVC deletes a stage's outs before it runs the stage, so what is to survive a kill lies in `.coronet/resume/<stage>`.
It counts only for the same work: another digest of params and inputs empties it.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from coronet_core.training.loop import EpochEnd
from tasks.files import write_text, write_whole
from tasks.paths import STATE


def resume_folder(stage: str, work: str) -> Path:
    """Return the folder where `stage` keeps what it has finished of the work whose digest is `work`."""
    folder = STATE / "resume" / stage
    stamp = folder / "work"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != work:
        discard(folder)
        write_text(stamp, work)
    return folder


def discard(folder: Path) -> None:
    """Delete a resume folder: its work is done."""
    shutil.rmtree(folder, ignore_errors=True)


def save_checkpoint(folder: Path, end: EpochEnd) -> None:
    """Keep the state of training after an epoch, whole or not at all."""
    write_whole(folder / "checkpoint.pt", lambda partial: torch.save(end.checkpoint(), partial))


def load_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the last checkpoint, or None if there is none."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return None
    checkpoint: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return checkpoint
