"""Outs on their way between this host's cache and the DVC remote, each transfer a process that can be ended."""

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dvc.config import NoRemoteError
from dvc.exceptions import DvcException
from dvc.repo import Repo

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError, TransientError
from flows.project.processes import dvc_process, end_process_group, stage_environment

PAUSES_S = (5.0, 20.0)
"""Between the tries of a transfer: remotes are known to be away for a moment."""
ERROR = "ERROR: "
HOPELESS = ("config file error", "is supported, but requires", "Authentication", "Forbidden", "Permission denied")
"""Parts of DVC's errors that another try does not mend."""

_transfers: set["subprocess.Popen[str]"] = set()


def check_remote(folder: Path = Path()) -> None:
    """Raise CoroNetError if the project in `folder` has no DVC remote by default."""
    try:
        with Repo(str(folder)) as repo:
            repo.cloud.get_remote()
    except NoRemoteError as error:
        raise CoroNetError(
            "no DVC remote: stages on other hosts send their results through one. "
            "Name it on every host with `dvc remote add --default NAME URL`."
        ) from error
    except DvcException as error:
        raise CoroNetError(f"DVC remote: {error}") from error


def push(outs: Sequence[str], folder: Path, on_line: Callable[[str], None]) -> None:
    """Send `outs` (paths or stages) of the project in `folder` to the DVC remote.

    Raises TransientError when the remote does not answer, CoroNetError when another try would not help.
    """
    _transfer(["push", "--", *outs], folder, on_line)


def pull(outs: Sequence[str], folder: Path, on_line: Callable[[str], None], *, is_forced: bool = True) -> None:
    """Bring `outs` (paths or stages) of the project in `folder` from the DVC remote; raises as `push` does.

    Unless `is_forced`, what is here and nowhere else is not replaced: that is an error.
    """
    _transfer(["pull", *(["--force"] if is_forced else []), "--", *outs], folder, on_line)


def update(imports: Sequence[str], folder: Path, on_line: Callable[[str], None]) -> None:
    """Bring the `.dvc` files `imports` of the project in `folder`, and what they name, to the state of their sources.

    Raises as `push` does.
    """
    _transfer(["update", "--", *imports], folder, on_line)


def end_transfers() -> None:
    """End the transfers that run now."""
    for process in list(_transfers):
        end_process_group(process)


def _transfer(command: list[str], folder: Path, on_line: Callable[[str], None]) -> None:
    if command[-1] == "--":  # nothing to transfer; DVC would take it for everything
        return
    for pause_s in (*PAUSES_S, None):
        code, lines = _run(command, folder)
        if code == 0:
            return
        reason = _reason(lines, code)
        if code < 0 or any(part in reason for part in HOPELESS):
            raise CoroNetError(f"dvc {command[0]}: {reason}")
        if pause_s is None:
            break
        on_line(without_credentials(f"dvc {command[0]}: {reason}; trying again in {pause_s:.0f} s"))
        time.sleep(pause_s)
    raise TransientError(f"dvc {command[0]}: {reason}. Is the DVC remote reachable, and does it have the files?")


def _run(command: list[str], folder: Path) -> tuple[int, list[str]]:
    with dvc_process(command, folder, stage_environment(), _transfers) as process:
        output, _ = process.communicate()
    return process.returncode, [line.strip() for line in output.splitlines() if line.strip()]


def _reason(lines: list[str], code: int) -> str:
    """Return DVC's errors in one line; some go on in the next lines."""
    first = next((place for place, line in enumerate(lines) if line.startswith(ERROR)), None)
    if first is None:
        return lines[-1] if lines else f"exit code {code}"
    return " ".join(line.removeprefix(ERROR) for line in lines[first:] if not line.startswith("<"))
