"""`kill -9` in the middle of training, a full disk, MLflow's server away: and the same command again."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from coronet_core.common.manifest import read_manifest
from coronet_core.common.shards import Shards
from tasks.runtime.paths import IMAGES, MANIFEST
from tests.integration.conftest import Project, make_project
from tests.integration.hosts import Host, served_mlflow
from tests.integration.small_disk import disk_in_memory

pytestmark = pytest.mark.integration
AUTOENCODERS = ["models/autoencoder_healthy.safetensors", "models/autoencoder_pneumonia.safetensors"]
TARGET = "materialize_residuals"


def weights(project: Project) -> list[bytes]:
    return [(project.folder / name).read_bytes() for name in AUTOENCODERS]


@pytest.fixture(scope="module")
def undisturbed(finished: Project) -> list[bytes]:
    return weights(finished)


def wait_for_epoch(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "epoch 2/4" in line:
            return
    pytest.fail("no second epoch in:\n" + "".join(lines))


def stage_processes(folder: Path) -> list[psutil.Process]:
    running = psutil.process_iter(["cmdline", "cwd"])
    return [p for p in running if p.info["cwd"] == str(folder) and "train_autoencoder" in (p.info["cmdline"] or [])]


def tracked_runs(project: Project, status: str | None = None) -> list[Run]:
    """The project's runs in MLflow, those of a `status` or all."""
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return [run for run in runs if status in (None, run.info.status)]


def assert_killed(project: Project) -> list[Run]:
    """Assert that the pipeline and an autoencoder's stage are killed in MLflow, and nothing runs; returns those."""
    unsent = [path.read_text()[-100:] for path in project.folder.glob(".coronet/tracking/*/events.jsonl")]
    assert names_of(tracked_runs(project, "RUNNING")) == set(), unsent
    killed = tracked_runs(project, "KILLED")
    assert names_of(killed) == {"pipeline", "train_autoencoder"}
    return killed


def names_of(runs: list[Run]) -> set[str]:
    """The stages of `runs`, and "pipeline" for the run that they are nested in."""
    return {
        run.info.run_name.partition("@")[0] if "mlflow.parentRunId" in run.data.tags else "pipeline" for run in runs
    }


def test_a_killed_flow_leaves_no_process_and_the_next_one_goes_on(
    new_project: Callable[[], Project], finished: Project, undisturbed: list[bytes]
) -> None:
    project = new_project()
    project.borrow_runs(finished, but=["train_autoencoder"])
    with project.start("flows", "run") as flow:
        wait_for_epoch(flow)
        children = psutil.Process(flow.pid).children(recursive=True)
        os.kill(flow.pid, signal.SIGKILL)
    assert psutil.wait_procs(children, 30)[1] == []  # neither stages nor Prefect's temporary server
    assert stage_processes(project.folder) == []
    assert not any((project.folder / name).exists() for name in AUTOENCODERS)
    assert tracked_runs(project, "RUNNING") != []
    listed = project.run("flows", "models", "list")  # any command
    assert listed.returncode == 0, listed.stdout
    assert "cannot be reached" not in listed.stdout, listed.stdout
    killed = assert_killed(project)
    again = project.run("flows", "run")
    assert again.returncode == 0, again.stdout
    assert re.search(r"resuming after epoch [23] of 4", again.stdout)
    assert weights(project) == undisturbed
    assert len(tracked_runs(project, "FINISHED")) + len(killed) == len(tracked_runs(project))
    resumed = {run.data.tags.get("coronet.resumes") for run in tracked_runs(project, "FINISHED")} - {None}
    assert resumed == {run.info.run_id for run in killed}
    assert all(f"resumes a run that did not finish: {run_id}" in again.stdout for run_id in resumed)


@pytest.mark.slow
def test_ctrl_c_ends_everything_at_once_and_says_so(new_project: Callable[[], Project], finished: Project) -> None:
    project = new_project()
    project.borrow_runs(finished, but=["train_autoencoder"])
    with project.start("flows", "run", start_new_session=True) as flow:
        wait_for_epoch(flow)
        children = psutil.Process(flow.pid).children(recursive=True)
        os.killpg(flow.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        output, _ = flow.communicate(timeout=120)
    assert flow.returncode == -signal.SIGINT  # 130 in a shell
    assert "Stopped. The same command resumes where it stopped." in output
    assert not re.search("Traceback|Retry", output)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert_killed(project)


@pytest.mark.slow
def test_a_killed_stage_fails_the_run_and_the_next_one_goes_on(
    new_project: Callable[[], Project], finished: Project, undisturbed: list[bytes]
) -> None:
    project = new_project()
    project.borrow_runs(finished, but=["train_autoencoder"])
    with project.start("dvc", "repro", TARGET) as dvc:
        wait_for_epoch(dvc)
        for process in stage_processes(project.folder):
            process.kill()
        dvc.communicate()
        assert dvc.returncode != 0
    again = project.run("dvc", "repro", TARGET)
    assert again.returncode == 0, again.stdout
    assert re.search(r"resuming after epoch [23] of 4", again.stdout)
    assert weights(project) == undisturbed
    assert tracked_runs(project, "RUNNING") == []
    (killed,) = tracked_runs(project, "KILLED")
    resumed = [run.data.tags.get("coronet.resumes") for run in tracked_runs(project, "FINISHED")]
    assert resumed.count(killed.info.run_id) == 1


@pytest.mark.slow
def test_a_killed_build_of_the_split_goes_on_where_it_was(new_project: Callable[[], Project]) -> None:
    killed, undisturbed = new_project(), new_project()
    source = {
        "kind": "phantom",
        "patients": {"healthy": 60, "pneumonia": 60, "covid19": 60},
        "images_per_patient_max": 1,
    }
    for project in (killed, undisturbed):
        project.set_params({"data": {"sources": [source], "shard_images": 10}})
    blocks = killed.folder / ".coronet" / "resume" / "build_split" / "blocks"
    with killed.start("tasks", "build_split") as process:
        while len(list(blocks.glob("*.rows"))) < 4 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate()
    assert not (killed.folder / MANIFEST).exists()
    finished, whole = (project.run("tasks", "build_split") for project in (killed, undisturbed))
    assert finished.returncode == whole.returncode == 0, finished.stdout
    assert re.search(r"resuming with ([4-9]|1\d) blocks of 10 images", finished.stdout)
    assert "resuming" not in whole.stdout
    assert read_manifest(killed.folder / MANIFEST).equals(read_manifest(undisturbed.folder / MANIFEST))
    first, second = (Shards.in_folder(project.folder / IMAGES) for project in (killed, undisturbed))
    rows = np.arange(len(first), dtype=np.int64)
    np.testing.assert_array_equal(first.take(rows), second.take(rows))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 120 MiB."""
    with disk_in_memory(tmp_path / "disk", "120m"):
        yield tmp_path / "disk"


@pytest.mark.slow
def test_a_full_disk_is_said_in_a_line_and_the_next_run_goes_on(small_disk: Path, undisturbed: list[bytes]) -> None:
    project = make_project(small_disk / "coronet")
    split = project.run("dvc", "repro", "build_split")
    assert split.returncode == 0, split.stdout
    ballast, room = project.folder / "ballast", 200 << 10  # too little for a checkpoint
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - room))
    full = project.run("dvc", "repro", TARGET)
    assert full.returncode != 0
    assert re.search(r"^error: the disk is full.*Free some space: the same command resumes", full.stdout, re.MULTILINE)
    assert "Traceback" not in full.stdout
    ballast.unlink()
    finished = project.run("dvc", "repro", TARGET)
    assert finished.returncode == 0, finished.stdout
    assert weights(project) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "later", "further"),
    [
        (("dvc", "repro", TARGET), ("dvc", "repro", "train_cin"), "train_cin"),
        (("flows", "run"), ("flows", "run"), "package"),
    ],
    ids=["stages tell it themselves", "the flow tells it"],
)
def test_mlflow_that_goes_away_and_comes_back_gets_all_of_it(
    new_project: Callable[[], Project],
    finished: Project,
    undisturbed: list[bytes],
    tmp_path: Path,
    command: tuple[str, ...],
    later: tuple[str, ...],
    further: str,
) -> None:
    with served_mlflow(tmp_path / "mlflow") as (address, server):
        host = Host(new_project().folder, {"MLFLOW_TRACKING_URI": address})
        host.borrow_runs(finished, but=["train_autoencoder", further])
        with host.start(*command) as process:
            wait_for_epoch(process)
            server.kill()
            output, _ = process.communicate()
        assert process.returncode == 0, output
        assert "MLflow cannot be reached" in output
        assert weights(host) == undisturbed
        server.start()
        finished = host.run(*later)
        assert finished.returncode == 0, finished.stdout
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("coronet")
        assert experiment is not None
        runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
        assert {run.info.status for run in runs.values()} == {"FINISHED"}
        trained = {"train_autoencoder@healthy", "train_autoencoder@pneumonia"}
        assert {name for name in runs if not name.startswith("own params, ")} == trained | {"build_split", further}
        assert len(runs) == (4 if command[0] == "dvc" else 5)  # with the flow's own
        for name in trained:
            history = client.get_metric_history(runs[name].info.run_id, "validation_loss")
            assert [metric.step for metric in history] == [1, 2, 3, 4]
