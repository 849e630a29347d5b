"""A stage as a subprocess of its own process group, its output passed on line by line."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

ERROR_PREFIX = "error: "
SKIPPED_SUFFIX = "didn't change, skipping"
GRACE_S = 5.0
DVC_HINTS = (
    "To track the changes",
    "git add",
    "To enable auto staging",
    "dvc config",
    "Use `dvc push`",
    "Updating lock",
)
"""Beginnings of lines in which DVC advises what to type next: no part of a stage's log."""

_running: dict["subprocess.Popen[str]", Path] = {}
"""Stages that run now, and the folders of their projects."""


@dataclass(frozen=True)
class StageResult:
    """How a stage ended."""

    succeeded: bool
    is_up_to_date: bool
    """DVC found nothing to do."""
    reason: str
    """The error in one line; empty if there is none."""


def run_stage_process(
    stage: str, folder: Path, environment: dict[str, str], on_line: Callable[[str], None]
) -> StageResult:
    """Run `stage` of the project in `folder` through DVC and wait for it.

    `dvc --wait-for-lock repro --single-item` runs the stage only if it is stale, and several such processes work side
    by side on one `dvc.lock`.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.child", "--wait-for-lock", "repro", "--single-item", stage],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    _running[process] = folder
    lines: list[str] = []
    try:
        for line in process.stdout or ():
            if text := line.rstrip():
                lines.append(text)
                if not text.lstrip().startswith(DVC_HINTS):
                    on_line(text)
        code = process.wait()
    finally:
        end_process_group(process)
        del _running[process]
    return StageResult(
        succeeded=code == 0,
        is_up_to_date=code == 0 and any(line.endswith(SKIPPED_SUFFIX) for line in lines),
        reason="" if code == 0 else _reason(lines, code),
    )


def stage_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a stage: this one and `variables`, with this interpreter first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", **variables}


def end_stages(folder: Path) -> None:
    """End all stages of the project in `folder` that run now, with all that they started."""
    for process, own in list(_running.items()):
        if own == folder:
            end_process_group(process)


def end_descendants() -> None:
    """End every process below this one: stages, and Prefect's temporary server."""
    descendants = psutil.Process().children(recursive=True)
    for process in descendants:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(descendants, GRACE_S)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def end_process_group(process: "subprocess.Popen[str]") -> None:
    """End what is left of a process group: politely, then at once."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(GRACE_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _reason(lines: list[str], code: int) -> str:
    errors = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
    return "; ".join(errors) or (lines[-1] if lines else f"exit code {code}")
