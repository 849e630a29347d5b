"""A stage as a SLURM job: submitted, followed and cancelled by the process that DVC has started, through submitit.

The nodes share the project's folder with this host, as those of a cluster do, so outs and checkpoints are in their
places. A job that reaches its time limit or is preempted is queued again by submitit, and the stage resumes.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from coronet_core.support.errors import CoroNetError, ParamsError, TransientError
from tasks.runtime.compute.slurm_settings import SLURM_VARIABLE, JobSettings
from tasks.runtime.paths import STATE
from tasks.runtime.progress import log
from tasks.runtime.resource_limits import memory_remedy

JOBS: Final = STATE / "slurm"
"""A folder for each stage: submitit's files and the job's output, until the stage has succeeded."""
NAME: Final = "coronet-{stage}"
"""By its name and its folder a job is found that outlived the process which submitted it."""
POLL_S: Final = 0.5
SECONDS_BETWEEN_QUERIES: Final = 15.0
"""Of SLURM's accounts: a cluster has many users."""
SECONDS_TO_END: Final = 120.0
"""In which a job leaves the queue once it is cancelled or has its result."""
MAX_TIMEOUTS: Final = 100
"""Times that a job is queued again after its time limit; each time the stage resumes where it was."""
OWN_LINES: Final = "submitit "
SECONDS_AFTER_SIGTERM: Final = 300.0
"""In which SLURM kills a job that it has told to end, or submitit queues it again."""
NO_CONTROLLER: Final = "Unable to contact slurm controller"
SHELL_SIGNAL: Final = 128


class StageJob(submitit.helpers.Checkpointable):
    """`python -m tasks <arguments>` in a folder, on a node. submitit queues it again when its time is up."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.arguments = list(arguments)
        self.folder = folder

    def __call__(self) -> int:
        """Run the stage; returns its exit code.

        A preempted job first gets SIGTERM, of which the stage dies, and then what submitit waits for: a result in
        between would be taken for the job's end.
        """
        own = {name: value for name, value in os.environ.items() if name != SLURM_VARIABLE}
        command = [sys.executable, "-m", "tasks", *self.arguments]
        code = subprocess.run(command, cwd=self.folder, env=own, check=False).returncode
        if code in {-signal.SIGTERM, -signal.SIGUSR2}:
            time.sleep(SECONDS_AFTER_SIGTERM)
        return code


def run_as_job(stage: str, arguments: Sequence[str], settings: JobSettings) -> int:
    """Run `stage` of the project in the current folder as a job and wait for it; returns the stage's exit code.

    What the job prints is printed here. When this process is ended, the job is cancelled; a job that outlived a
    killed process is cancelled before the next one is submitted. Raises ParamsError for settings that submitit does
    not know, TransientError when the controller does not answer or the job was killed, CoroNetError when SLURM
    refuses the job or another try would end alike.
    """
    folder = JOBS / stage
    _require_accounts()
    _cancel_former(stage)
    shutil.rmtree(folder, ignore_errors=True)
    executor = _executor(folder.resolve(), stage, settings)
    with _ended_politely():
        job = _submit(executor, StageJob(arguments, Path.cwd()))
        log(f"SLURM job {job.job_id}: submitted")
        try:
            _follow(job, stage)
            code = _exit_code(job, stage)
        except BaseException:
            job.cancel(check=False)  # SLURM may queue a job again whose node was lost
            raise
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        job.cancel(check=False)
    return code


def _executor(folder: Path, stage: str, settings: JobSettings) -> submitit.SlurmExecutor:
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=MAX_TIMEOUTS)
        executor.update_parameters(
            **settings | {"job_name": NAME.format(stage=stage), "nodes": 1, "ntasks_per_node": 1}
        )
    except RuntimeError as error:
        raise CoroNetError("no `srun` on the path: this host cannot submit SLURM jobs. Unset CORONET_SLURM.") from error
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ParamsError(
            f"{os.environ[SLURM_VARIABLE]}: {stage}: {reason}. Settings have the names of sbatch's options, with "
            "underscores; time is in minutes."
        ) from error
    return executor


def _submit(executor: submitit.SlurmExecutor, task: StageJob) -> submitit.Job[int]:
    try:
        return executor.submit(task)
    except FailedJobError as error:
        kind = TransientError if NO_CONTROLLER in str(error) else CoroNetError
        raise kind(
            f"SLURM rejects the job ({' '.join(str(error).split())}). Check {os.environ[SLURM_VARIABLE]}."
        ) from error


def _follow(job: submitit.Job[int], stage: str) -> None:
    """Print what the job prints until it has ended."""
    streams = [(job.paths.stdout, sys.stdout), (job.paths.stderr, sys.stderr)]
    read = {path: 0 for path, _ in streams}
    asked = time.monotonic()
    is_over = False
    while not is_over:
        time.sleep(POLL_S)
        is_due = time.monotonic() - asked > SECONDS_BETWEEN_QUERIES
        asked = time.monotonic() if is_due else asked
        has_result = job.paths.result_pickle.exists()
        if has_result and _is_put_back(job, stage):
            job.paths.result_pickle.unlink()
            job.watcher.clear()
            has_result = False
        is_over = has_result or (is_due and _has_ended(job, stage))
        for path, stream in streams:
            read[path] = _pass_on(path, read[path], stream)


def _is_put_back(job: submitit.Job[int], stage: str) -> bool:
    """Whether a job with a result is queued again all the same.

    SLURM ends a job that it puts back, and with it at times the command by which submitit asks for that: submitit then
    takes the job for failed.
    """
    if job.exception() is None:
        return False
    deadline = time.monotonic() + SECONDS_TO_END
    while (state := _queued_jobs(stage).get(job.job_id)) not in {None, "PENDING"} and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return state == "PENDING"


def _has_ended(job: submitit.Job[int], stage: str) -> bool:
    """Whether SLURM says so: its accounts call a job that is queued again failed until it begins."""
    if not job.done(force_check=True):
        return False
    if job.job_id not in _queued_jobs(stage):
        return True
    job.watcher.clear()  # or it would keep that state
    return False


def _pass_on(path: Path, begin: int, stream: TextIO) -> int:
    """Print the whole lines of `path` from the byte `begin` on, but for submitit's own; returns where they end."""
    if not path.is_file():
        return begin
    with path.open("rb") as file:
        file.seek(begin)
        whole = file.read().rpartition(b"\n")
    for line in whole[0].decode(errors="replace").splitlines():
        if not line.startswith(OWN_LINES):
            print(line, file=stream, flush=True)
    return begin + len(whole[0]) + len(whole[1])


def _exit_code(job: submitit.Job[int], stage: str) -> int:
    """Return the exit code of a stage whose job has ended. Raises an error when the job did not come to its end."""
    try:
        code = job.result()
    except (UncompletedJobError, FailedJobError) as error:
        raise _error_of(job, stage) from error
    if code == -signal.SIGKILL and job.watcher.get_state(job.job_id, mode="force") == "OUT_OF_MEMORY":
        raise _error_of(job, stage)
    return SHELL_SIGNAL - code if code < 0 else code


def _error_of(job: submitit.Job[int], stage: str) -> CoroNetError:
    state = job.watcher.get_state(job.job_id, mode="force").split()[0]  # "CANCELLED by 0"
    what = f"SLURM job {job.job_id} ended as {state}; its output is in {job.paths.folder}"
    match state:
        case "OUT_OF_MEMORY":
            return CoroNetError(f"{what}. Raise mem in {os.environ[SLURM_VARIABLE]}. {memory_remedy(stage)}")
        case "TIMEOUT" | "DEADLINE":
            return CoroNetError(f"{what}. Raise time in {os.environ[SLURM_VARIABLE]}; the next run resumes.")
        case _:
            return TransientError(f"{what}. The next run resumes where it stopped.")


def _cancel_former(stage: str) -> None:
    """Cancel the jobs that killed processes have left: two would write the same outs."""
    left = list(_queued_jobs(stage))
    for job_id in left:
        log(f"SLURM job {job_id} of an earlier run: cancelling it")
        subprocess.run(["scancel", job_id], capture_output=True, check=False)
    deadline = time.monotonic() + SECONDS_TO_END
    while left:
        if time.monotonic() > deadline:
            raise TransientError(
                f"SLURM job {left[0]} of an earlier run does not end. End it with `scancel {left[0]}`."
            )
        time.sleep(POLL_S)
        left = list(_queued_jobs(stage))


def _queued_jobs(stage: str) -> dict[str, str]:
    """Return SLURM's state of each job of this folder's `stage` that waits, runs or is about to end, by its id."""
    command = ["squeue", "--noheader", f"--name={NAME.format(stage=stage)}", "--format=%i|%T|%Z"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise TransientError(f"SLURM does not answer (squeue: {asked.stderr.strip()}).")
    jobs = [[column.strip() for column in line.split("|", 2)] for line in asked.stdout.splitlines()]
    return {job_id: state for job_id, state, folder in jobs if Path(folder) == Path.cwd()}


def _require_accounts() -> None:
    """Require `sacct`: without accounts nobody says that a job was killed, and it would be waited for for ever."""
    try:
        subprocess.run(["sacct", "--noheader", "--starttime", "now"], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise CoroNetError(
            "no `sacct` on the path: this host cannot follow SLURM jobs. Unset CORONET_SLURM."
        ) from error
    except subprocess.CalledProcessError as error:
        raise CoroNetError(f"SLURM has no job accounting, which is needed (sacct: {error.stderr.strip()}).") from error


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, so that the job is cancelled."""

    def end(sign: int, _: FrameType | None) -> None:
        sys.exit(SHELL_SIGNAL + sign)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
