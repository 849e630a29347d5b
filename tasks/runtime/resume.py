"""What a killed stage leaves for the next run of it: finished epochs and shards, outside DVC's outs.

DVC deletes a stage's outs before it runs the stage, so what is to survive a kill lies in `.coronet/resume/<stage>`.
It counts only for the same work: other params, inputs or code of the stage empty it.
"""

import shutil
from pathlib import Path

from coronet_core.support.whole_files import put_in_place, write_sealed
from tasks.runtime.code_digest import code_digest, code_of_stage
from tasks.runtime.files import digest, publish_folder
from tasks.runtime.kept_files import read_kept
from tasks.runtime.paths import STATE

STAMP = "work"
FORMER = "former"


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
