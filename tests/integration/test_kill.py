"""`kill -9` in the middle of training, and the same command again."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from coronet_core.data.manifest import read_manifest
from coronet_core.shards import Shards
from tasks.paths import IMAGES, MANIFEST
from tests.integration.conftest import Project

pytestmark = pytest.mark.integration
AUTOENCODERS = ["models/autoencoder_healthy.safetensors", "models/autoencoder_pneumonia.safetensors"]
TARGET = "materialize_residuals"


def weights(project: Project) -> list[bytes]:
    return [(project.folder / name).read_bytes() for name in AUTOENCODERS]


@pytest.fixture(scope="module")
def undisturbed(new_project: Callable[[], Project]) -> list[bytes]:
    project = new_project()
    finished = project.run("dvc", "repro", TARGET)
    assert finished.returncode == 0, finished.stdout
    return weights(project)


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


def test_a_killed_flow_leaves_no_process_and_the_next_one_goes_on(
    new_project: Callable[[], Project], undisturbed: list[bytes]
) -> None:
    project = new_project()
    with project.start("flows.retrain") as flow:
        wait_for_epoch(flow)
        children = psutil.Process(flow.pid).children(recursive=True)
        os.kill(flow.pid, signal.SIGKILL)
    assert psutil.wait_procs(children, 30)[1] == []  # neither stages nor Prefect's temporary server
    assert stage_processes(project.folder) == []
    assert not any((project.folder / name).exists() for name in AUTOENCODERS)
    finished = project.run("flows.retrain")
    assert finished.returncode == 0, finished.stdout
    assert re.search(r"resuming after epoch [23] of 4", finished.stdout)
    assert weights(project) == undisturbed


def test_ctrl_c_ends_everything_at_once_and_says_so(new_project: Callable[[], Project]) -> None:
    project = new_project()
    with project.start("flows.retrain", start_new_session=True) as flow:
        wait_for_epoch(flow)
        children = psutil.Process(flow.pid).children(recursive=True)
        os.killpg(flow.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        output, _ = flow.communicate(timeout=30)
    assert flow.returncode == 130
    assert "Stopped. The same command goes on where it was." in output
    assert "Traceback" not in output
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_a_killed_stage_fails_the_run_and_the_next_one_goes_on(
    new_project: Callable[[], Project], undisturbed: list[bytes]
) -> None:
    project = new_project()
    with project.start("dvc", "repro", TARGET) as dvc:
        wait_for_epoch(dvc)
        for process in stage_processes(project.folder):
            process.kill()
        dvc.communicate()
        assert dvc.returncode != 0
    finished = project.run("dvc", "repro", TARGET)
    assert finished.returncode == 0, finished.stdout
    assert re.search(r"resuming after epoch [23] of 4", finished.stdout)
    assert weights(project) == undisturbed


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
        while len(list(blocks.glob("*.parquet"))) < 4 and process.poll() is None:
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
