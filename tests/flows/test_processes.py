"""A stage as a process: what DVC's output and exit code are taken for, time-outs, ending."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from coronet_core.support.errors import CoroNetError, TransientError
from flows.project.processes import Descendants, StageProcesses, stage_environment
from tasks.runtime import resource_limits
from tests.conftest import PROJECT

DVC_YAML = "stages:\n  work:\n    cmd: {command}\n    deps: [input]\n    outs: [output]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["dvc", "init", "-q"], cwd=tmp_path, check=True, env=stage_environment())
    (tmp_path / "input").write_text("1")
    return tmp_path


def run(project: Path, command: str, timeout_s: float | None = None) -> bool:
    (project / "dvc.yaml").write_text(DVC_YAML.format(command=command))
    return StageProcesses(project).run("work", stage_environment(), [].append, timeout_s)


def test_a_stage_runs_once(project: Path) -> None:
    assert run(project, "cp input output")
    assert not run(project, "cp input output")


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_killed_stage_may_be_tried_again(project: Path, signal: str) -> None:
    with pytest.raises(TransientError, match=f"killed by SIG{signal}"):
        run(project, f"kill -{signal} $$")


def test_a_stage_killed_below_its_shell_may_be_tried_again(project: Path) -> None:
    with pytest.raises(TransientError, match="killed by SIGKILL"):
        run(project, "'sh -c \"kill -KILL \\$\\$\" || exit $?'")


def test_a_stage_says_that_it_may_be_tried_again(project: Path) -> None:
    with pytest.raises(TransientError, match="the server is away"):
        run(project, "'echo \"error: the server is away\" >&2; exit 75'")


def test_any_other_failure_is_final(project: Path) -> None:
    with pytest.raises(CoroNetError, match="no such thing") as raised:
        run(project, "'echo \"error: no such thing\" >&2; exit 1'")
    assert not isinstance(raised.value, TransientError)


def test_a_stage_that_takes_too_long_is_ended(project: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(CoroNetError, match="not done after 3 s"):
        run(project, "sleep 60", timeout_s=3)
    assert time.monotonic() - begun < 30


def test_ending_ends_what_runs_and_begins_nothing(project: Path) -> None:
    (project / "dvc.yaml").write_text(DVC_YAML.format(command="'touch begun; sleep 60'"))
    processes = StageProcesses(project)

    def end_when_begun() -> None:
        while not (project / "begun").exists():
            time.sleep(0.05)
        processes.end()

    threading.Thread(target=end_when_begun).start()
    for _ in range(2):
        with pytest.raises(CoroNetError, match="ended with the flow"):
            processes.run("work", stage_environment(), [].append)


def test_a_stage_that_is_ended_has_time_to_clean_up(project: Path) -> None:
    clean_up = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
    (project / "work.py").write_text(
        clean_up + "try:\n    time.sleep(60)\nfinally:\n    time.sleep(0.5); open('cleaned', 'w')\n"
    )
    with pytest.raises(CoroNetError, match="not done after 3 s"):
        run(project, "exec python work.py", timeout_s=3)
    assert (project / "cleaned").exists()


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
    ids=["by default", "own count", "own policy"],
)
def test_idle_threads_of_a_stage_sleep_soon_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, str], expected: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert stage_environment().get("GOMP_SPINCOUNT") == expected


def test_descendants_are_ended_when_the_process_above_them_is_gone() -> None:
    with subprocess.Popen(["bash", "-c", "sleep 60 & sleep 60 & wait"]) as above:
        below = Descendants(above.pid)
        while len(sleeping := set(below.look())) < 2:
            time.sleep(0.05)
        above.kill()
    assert below.look() == sleeping
    below.end(grace_s=5)
    assert not below.look()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in sleeping)


def test_descendants_that_do_not_listen_are_killed(tmp_path: Path) -> None:
    deaf = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.1; done"
    with subprocess.Popen(["bash", "-c", 'bash -c "$0" & wait', deaf]) as above:
        below = Descendants(above.pid)
        while not (tmp_path / "deaf").exists():
            time.sleep(0.05)
        below.end(grace_s=1)
        assert not below.look()


@pytest.fixture
def oom_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    counter = tmp_path / "vmstat"
    counter.write_text("oom_kill 3\n")
    monkeypatch.setattr(resource_limits, "PROC", tmp_path)
    return counter


def test_a_stage_that_the_kernel_has_killed_for_memory_is_not_tried_again(project: Path, oom_counter: Path) -> None:
    with pytest.raises(
        CoroNetError, match=r"because memory ran out\. Lower the batch size, or use a machine"
    ) as raised:
        run(project, f"'echo oom_kill 4 > {oom_counter}; kill -KILL $$'")
    assert not isinstance(raised.value, TransientError)


def test_a_stage_killed_by_a_person_may_be_tried_again_whatever_was_killed_before(
    project: Path, oom_counter: Path
) -> None:
    with pytest.raises(TransientError, match="killed by SIGKILL"):
        run(project, "kill -KILL $$")
    with pytest.raises(CoroNetError, match="exited with 1"):
        run(project, f"'echo oom_kill 4 > {oom_counter}; exit 1'")


def test_a_stage_that_aborts_without_memory_says_so(project: Path) -> None:
    with pytest.raises(CoroNetError, match=r"aborted, because memory ran out\. Lower the batch size") as raised:
        run(project, "'echo what: std::bad_alloc; kill -ABRT $$'")
    assert not isinstance(raised.value, TransientError)


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A real control group of 1 GiB, which DVC needs a part of; skips where this machine lets nobody make one."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").is_file()
    group = Path("/sys/fs/cgroup" if unified else "/sys/fs/cgroup/memory", f"coronet-test-{os.getpid()}")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here ({error.strerror})")
    try:
        limit = group / ("memory.max" if unified else "memory.limit_in_bytes")
        if not limit.is_file():
            pytest.skip("control groups limit no memory here")
        limit.write_text(str(1 << 30))
        yield group
    finally:
        group.rmdir()


STAGE_IN_GROUP = """
import os, sys
from pathlib import Path
from flows.project.processes import StageProcesses, stage_environment
(Path(sys.argv[1]) / "cgroup.procs").write_text(str(os.getpid()))
try:
    StageProcesses(Path()).run("work", stage_environment(), [].append)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_real_kill_for_memory_is_reported(project: Path, memory_group: Path) -> None:
    take_3_gib = "python -c \"print(len(b'x' * (3 << 30)))\""
    (project / "dvc.yaml").write_text(DVC_YAML.format(command=take_3_gib))
    finished = subprocess.run(
        [sys.executable, "-c", STAGE_IN_GROUP, memory_group],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout.startswith("CoroNetError killed by the kernel, because memory ran out. "), finished
