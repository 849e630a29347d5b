"""Stages as jobs of a real SLURM cluster: the weights of a run without it, and nothing left of what was killed."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Project, copy_of
from tests.integration.hosts import Host, processes_of, wait_for
from tests.integration.slurm_cluster import SlurmCluster, slurm_cluster, what_is_missing

pytest.importorskip("submitit", reason="needs the extra coronet[slurm]")
if reason := what_is_missing():
    pytest.skip(reason, allow_module_level=True)
pytestmark = [pytest.mark.integration, pytest.mark.slow]
STAGE = "train_autoencoder@healthy"
WEIGHTS = Path("models/autoencoder_healthy.safetensors")
JOBS = """\
default: {time: 5, cpus_per_task: 1}
train_autoencoder: {}
train_cin: {}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as running:
        yield running


@pytest.fixture
def host(finished: Project, cluster: SlurmCluster, tmp_path: Path) -> Host:
    """A finished project, one autoencoder of which is to be trained again, as a job."""
    host = Host(copy_of(finished, tmp_path / "coronet").folder, dict(cluster.variables))
    (host.folder / "slurm.yaml").write_text(JOBS)
    host.variables["CORONET_SLURM"] = str(host.folder / "slurm.yaml")
    host.forget(STAGE)
    return host


def until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def suspended(host: Host) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process]]:
    """The stage as DVC runs it, and its process on the node: suspended after an epoch, or it would end meanwhile."""
    with host.start("tasks", *STAGE.split("@")) as process:
        wait_for(process, ": submitted")
        until(lambda: stages_on_node(host))
        (on_node,) = stages_on_node(host)
        until(lambda: list((host.folder / ".coronet").rglob("epoch-*.checkpoint")))
        on_node.suspend()
        yield process, on_node


def pending(process: psutil.Process) -> set[int]:
    """The signals that a suspended process has been sent."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (mask,) = (int(found, 16) for found in re.findall(r"^ShdPnd:\s+(\w+)$", status, re.MULTILINE))
    return {sign for sign in signal.valid_signals() if mask >> (sign - 1) & 1}


def stages_on_node(host: Host) -> list[psutil.Process]:
    """The stage's process that trains. Another of the same command line follows its job."""
    running = [one for one in processes_of(host) if (one.info["cmdline"] or [])[-3:] == ["tasks", *STAGE.split("@")]]
    return [one for one in running if "SLURM_JOB_ID" in (one.info["environ"] or {})]


def test_a_run_with_jobs_trains_the_weights_of_one_without(
    host: Host, cluster: SlurmCluster, finished: Project
) -> None:
    host.forget("train_cin")
    del host.variables["CORONET_SLURM"]
    run = host.run("flows", "run", "--slurm", "slurm.yaml")
    assert run.returncode == 0, run.stdout
    jobs = re.findall(r"SLURM job (\d+): submitted", run.stdout)
    assert len(jobs) == 2, run.stdout
    assert "epoch 4/4" in run.stdout
    for name in (WEIGHTS, Path("models/cin.safetensors")):
        assert (host.folder / name).read_bytes() == (finished.folder / name).read_bytes()
    columns = ("--noheader", "--allocations", "--parsable2", "--format=JobName,State")
    until(lambda: "RUNNING" not in cluster.ask("sacct", *columns))  # accounts are a moment late
    assert set(cluster.ask("sacct", *columns).split()) == {
        "coronet-train_autoencoder@healthy|COMPLETED",
        "coronet-train_cin|COMPLETED",
    }
    assert not list((host.folder / ".coronet" / "slurm").iterdir())


@pytest.mark.parametrize("request_is_ended", [False, True])
def test_a_job_that_is_preempted_or_whose_time_is_up_is_queued_again_and_resumes(
    host: Host, cluster: SlurmCluster, finished: Project, *, request_is_ended: bool
) -> None:
    if request_is_ended:  # as SLURM does at times to the `scontrol requeue` of the job that it puts back
        programs = host.folder.parent / "bin"
        programs.mkdir()
        (programs / "scontrol").write_text(f'#!/bin/sh\n{shutil.which("scontrol")} "$@"; kill -TERM $$\n')
        (programs / "scontrol").chmod(0o755)
        host.variables["PATH"] = f"{programs}:{host.environment['PATH']}"
    with suspended(host) as (process, on_node):
        (job,) = cluster.queued()
        cluster.ask("scancel", "--signal=TERM", job)  # what a job gets first that is preempted
        cluster.ask("scancel", "--signal=USR2", job)  # what SLURM sends before the time is up, as submitit asks it to
        until(lambda: {signal.SIGTERM, signal.SIGUSR2} <= pending(on_node))  # or it would end before it is told
        on_node.resume()
        until(lambda: "BeginTime" in cluster.ask("squeue", "--noheader", "--format=%r"))
        # SLURM would wait for two minutes; in the second of the requeue the node still refuses the job's credential
        cluster.ask("scontrol", "update", f"JobId={job}", "StartTime=now+3")
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "resuming after epoch" in output
    assert (host.folder / WEIGHTS).read_bytes() == (finished.folder / WEIGHTS).read_bytes()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_that_is_ended_takes_its_job_with_it(host: Host, cluster: SlurmCluster, sign: signal.Signals) -> None:
    with suspended(host) as (process, on_node):
        assert cluster.queued()
        on_node.resume()
        process.send_signal(sign)
        process.communicate()
    assert process.returncode != 0
    until(lambda: not cluster.queued())


def test_a_job_that_outlived_its_stage_is_cancelled_by_the_next_run(
    host: Host, cluster: SlurmCluster, finished: Project
) -> None:
    with suspended(host) as (process, _):
        (job,) = cluster.queued()
        process.kill()
        process.communicate()
    run = host.run("tasks", *STAGE.split("@"))
    assert run.returncode == 0, run.stdout
    assert f"SLURM job {job} of an earlier run: cancelling it" in run.stdout
    assert "resuming after epoch" in run.stdout
    assert (host.folder / WEIGHTS).read_bytes() == (finished.folder / WEIGHTS).read_bytes()


def test_a_killed_job_fails_as_a_killed_stage_does_and_the_next_one_resumes(
    host: Host, cluster: SlurmCluster, finished: Project
) -> None:
    with suspended(host) as (process, _):
        (job,) = cluster.queued()
        cluster.ask("scancel", "--signal=KILL", "--full", job)
        output, _ = process.communicate()
    assert process.returncode in {128 + signal.SIGKILL, os.EX_TEMPFAIL}, output  # whether the job could still say it
    run = host.run("tasks", *STAGE.split("@"))
    assert run.returncode == 0, run.stdout
    assert "resuming after epoch" in run.stdout
    assert (host.folder / WEIGHTS).read_bytes() == (finished.folder / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            "train_autoencoder: {time: 5, partitoin: gpu}",
            r"train_autoencoder@healthy: Unavailable parameter.*'partitoin'",
        ),
        (
            "train_autoencoder: {time: 5, partition: nowhere}",
            "SLURM rejects the job .*invalid partition specified: nowhere",
        ),
    ],
)
def test_settings_that_slurm_refuses_are_one_line(host: Host, content: str, error: str) -> None:
    (host.folder / "slurm.yaml").write_text(content)
    run = host.run("tasks", *STAGE.split("@"))
    assert run.returncode == 1
    assert re.search(error, run.stdout), run.stdout
    assert "Traceback" not in run.stdout


def test_a_controller_that_is_away_is_worth_another_try(host: Host, tmp_path: Path) -> None:
    settings = Path(host.variables["SLURM_CONF"]).read_text()
    elsewhere = tmp_path / "slurm.conf"
    elsewhere.write_text(re.sub(r"SlurmctldPort=\d+", "SlurmctldPort=1", settings) + "MessageTimeout=2\n")
    host.variables["SLURM_CONF"] = str(elsewhere)
    run = host.run("tasks", *STAGE.split("@"))
    assert (run.returncode, "Unable to contact slurm controller" in run.stdout) == (os.EX_TEMPFAIL, True), run.stdout
