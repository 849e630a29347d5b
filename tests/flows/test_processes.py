"""A stage as a process: what DVC's output and exit code are taken for, time-outs, ending."""

import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from coronet_core.support.errors import CoroNetError, TransientError
from flows.project.processes import Descendants, StageProcesses, stage_environment

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
