"""A stage as a subprocess of its own process group, its output passed on line by line."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Timer
from typing import Final

import psutil

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError, TransientError
from tasks.runtime.error_handling import ERROR_PREFIX, TRANSIENT_EXIT
from tasks.runtime.resource_limits import is_refusal_of_memory, memory_remedy, oom_kills

SKIPPED_SUFFIX = "didn't change, skipping"
GRACE_S = 5.0
POLL_S = 0.1
DVC_HINTS = (
    "To track the changes",
    "git add",
    "To enable auto staging",
    "dvc config",
    "Use `dvc push`",
    "Updating lock",
)
"""Beginnings of lines in which DVC advises what to type next: no part of a stage's log."""
SPIN_COUNT: Final = "GOMP_SPINCOUNT"
WAIT_POLICY: Final = "OMP_WAIT_POLICY"
SHORT_SPIN: Final = 10_000
"""How often an idle OpenMP thread looks for work before it sleeps: by default 300,000 times, some milliseconds.

Of two stages that run side by side on all cores, each would wait for threads that the other's idle ones keep from their
cores. A thirtieth of that time costs a stage that runs alone nothing (docs/decisions/0003).
"""
SHELL_SIGNAL: Final = 128
KILLED: Final = (-signal.SIGKILL, -signal.SIGTERM)
STAGE_EXIT = re.compile(r"^ERROR: .*, exited with (-?\d+)$")
"""How DVC tells the exit code of a stage's command, its own being another."""


class StageProcesses:
    """The stages of one project that run now, each a process group; ended together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = Event()

    def run(
        self,
        stage: str,
        environment: dict[str, str],
        on_line: Callable[[str], None],
        timeout_s: float | None = None,
    ) -> bool:
        """Run `stage` through DVC and wait for it, `timeout_s` at most. Returns False if it was up to date.

        `dvc --wait-for-lock repro --single-item` runs the stage only if it is stale, and several such processes work
        side by side on one `dvc.lock`. Raises TransientError when it failed by what may pass (a kill, a connection),
        CoroNetError by anything else.
        """
        self._require_going_on()
        kills_before = oom_kills()
        lines: list[str] = []
        command = ["repro", "--single-item", "--", stage]
        with (
            dvc_process(command, self._folder, environment, self._running) as process,
            _ended_after(timeout_s, process) as is_timed_out,
        ):
            self._require_going_on()  # again: nobody has seen this process who has ended them meanwhile
            for line in process.stdout or ():
                if text := without_credentials(line.rstrip()):
                    lines.append(text)
                    if not text.lstrip().startswith(DVC_HINTS):
                        on_line(text)
            code = process.wait()
        if code == 0:
            return not any(line.endswith(SKIPPED_SUFFIX) for line in lines)
        self._require_going_on()
        if is_timed_out.is_set():
            raise CoroNetError(
                f"not done after {timeout_s:g} s. The next run resumes where it stopped; allow it more time."
            )
        raise error_from_output(lines, code, stage, was_oom_kill=oom_kills() != kills_before)

    def _require_going_on(self) -> None:
        if self._ended.is_set():
            raise CoroNetError("ended with the flow. The next run resumes where it stopped.")

    def end(self) -> None:
        """End all stages that run now, with all that they started; none is begun after that."""
        self._ended.set()
        for process in list(self._running):
            end_process_group(process)


@contextlib.contextmanager
def dvc_process(
    command: Sequence[str], folder: Path, environment: dict[str, str], running: set["subprocess.Popen[str]"]
) -> Iterator["subprocess.Popen[str]"]:
    """Run DVC's `command` on the project in `folder` as a process group, which ends when this is left.

    It is one of `running` meanwhile, waits for DVC's lock, and says all on its standard output.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "flows.project.subprocess_entry", "dvc", "--wait-for-lock", *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        running.add(process)
        try:
            yield process
        finally:
            end_process_group(process)
            running.discard(process)


def error_from_output(
    lines: list[str], code: int, stage: str | None = None, *, was_oom_kill: bool = False
) -> CoroNetError:
    """Return why DVC has ended with `code` having said `lines`: TransientError for what may pass.

    `was_oom_kill` says that the kernel has killed a process for want of memory meanwhile: another try would end alike.
    """
    exits = [int(found[1]) for line in lines if (found := STAGE_EXIT.search(line))]
    stage_code = _exit_code(exits[-1] if exits else code)
    if stage_code == -signal.SIGKILL and was_oom_kill:
        return CoroNetError(f"killed by the kernel, because memory ran out. {memory_remedy(stage)}")
    if stage_code in KILLED:
        return TransientError(f"killed by {signal.Signals(-stage_code).name}")
    if stage_code == -signal.SIGABRT and any(map(is_refusal_of_memory, lines)):
        return CoroNetError(f"aborted, because memory ran out. {memory_remedy(stage)}")
    return (TransientError if stage_code == TRANSIENT_EXIT else CoroNetError)(_reason(lines, code))


def _exit_code(code: int) -> int:
    """Return an exit code in which a signal is negative, as in Python; a shell adds 128 to the signal of its child."""
    return SHELL_SIGNAL - code if code > SHELL_SIGNAL else code


@contextlib.contextmanager
def _ended_after(timeout_s: float | None, process: "subprocess.Popen[str]") -> Iterator[Event]:
    """End `process` after `timeout_s`; the event tells whether that has happened."""
    is_timed_out = Event()
    if timeout_s is None:
        yield is_timed_out
        return

    def end() -> None:
        is_timed_out.set()
        end_process_group(process)

    timer = Timer(timeout_s, end)
    timer.start()
    try:
        yield is_timed_out
    finally:
        timer.cancel()


def stage_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a stage: this one and `variables`, with this interpreter first on the path.

    Idle threads sleep soon, unless this environment says how they wait.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    waiting = {} if WAIT_POLICY in os.environ else {SPIN_COUNT: str(SHORT_SPIN)}
    return {**waiting, **os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", **variables}


class Descendants:
    """The processes below one, remembered, so that they can be ended even when that one is gone."""

    def __init__(self, pid: int | None = None) -> None:
        """Of the process `pid`, or of this one."""
        self._above = psutil.Process(pid)
        self._known: set[psutil.Process] = set()

    def look(self) -> set[psutil.Process]:
        """Return those that live, and remember them."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._known.update(self._above.children(recursive=True))
        self._known = {process for process in self._known if _lives(process)}
        return self._known

    def end(self, grace_s: float = GRACE_S) -> None:
        """End all of them, those begun meanwhile too: politely and, what is left after `grace_s`, at once.

        One is told when none above it is left, for those above end what is below them in an order of their own.
        """
        signalled: set[psutil.Process] = set()
        deadline = time.monotonic() + grace_s
        while (living := self.look()) and (now := time.monotonic()) < deadline + GRACE_S:
            pids = {process.pid for process in living}
            for process in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if now >= deadline:
                        process.kill()
                    elif process not in signalled and process.ppid() not in pids:
                        process.terminate()
                        signalled.add(process)
            time.sleep(POLL_S)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_process_group(process: "subprocess.Popen[str]") -> None:
    """End what is left of a process group: politely and, what is left after `GRACE_S`, at once.

    DVC dies of SIGTERM before its stage, which may have to cancel a job on a cluster.
    """
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            process.poll()  # or the group would not be empty
            os.killpg(process.pid, 0)
            time.sleep(POLL_S)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(GRACE_S)


def _reason(lines: list[str], code: int) -> str:
    errors = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
    return "; ".join(errors) or (lines[-1] if lines else f"exit code {code}")
