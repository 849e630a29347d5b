"""A training stage in several processes: launched by itself, started by torchrun, killed, gone on with."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest

from coronet_core.autoencoder.architecture import architecture_of
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.common.shards import shard_path
from coronet_core.common.weights import load_weights, read_metadata
from tasks.runtime.error_handling import TRANSIENT_EXIT
from tasks.runtime.paths import IMAGES, STATE, autoencoder_history, autoencoder_weights
from tasks.runtime.tracking.run_record import RUN_IDS
from tests.integration.conftest import Project, copy_of
from tests.tasks.damage import DAMAGES, spoil

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STAGE = ("tasks", "train_autoencoder", "healthy")
TORCHRUN = ("torch.distributed.run", "--nproc-per-node", "2", "-m")
WEIGHTS, HISTORY = autoencoder_weights("healthy"), autoencoder_history("healthy")
MANY = 30
"""Epochs, so that there is time to kill."""


@pytest.fixture(scope="module")
def with_split(new_project: Callable[[], Project]) -> Project:
    """A project with a split, to train on 7 images in batches of 3 by 2 processes."""
    project = new_project()
    project.set_params({"autoencoder": {"precision": "fp32", "batch_size": 3}, "training_processes": 2})
    built = project.run("tasks", "build_split")
    assert built.returncode == 0, built.stdout
    return project


@pytest.fixture
def project(with_split: Project, tmp_path: Path) -> Project:
    """A copy of that project."""
    return copy_of(with_split, tmp_path / "coronet")


def history_of(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.folder / HISTORY)


def wait_for_epoch(process: "subprocess.Popen[str]", epoch: int) -> None:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if f"epoch {epoch}/" in line:
            return
    pytest.fail(f"no epoch {epoch} in:\n" + "".join(lines))


def ranks_below(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def require_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []


def test_two_processes_do_the_work_of_one_and_speak_with_one_voice(project: Project) -> None:
    output = project.done(*STAGE)
    assert re.findall(r"epoch (\d)/4", output) == ["1", "2", "3", "4"]
    assert len(list((project.folder / RUN_IDS).iterdir())) == 2  # build_split's run and this one
    weights = project.folder / WEIGHTS
    load_weights(FPAE("pyramid", architecture_of(read_metadata(weights), "AE_H")), weights)
    together = history_of(project)
    project.set_params({"training_processes": 1})
    project.done(*STAGE)
    alone = history_of(project)
    assert list(together) == list(alone)
    assert together["training_loss"][0] == pytest.approx(alone["training_loss"][0], rel=0.05)


def test_a_stage_started_by_torchrun_joins_and_trains_the_same_weights(project: Project) -> None:
    project.done(*STAGE)
    launched = (project.folder / WEIGHTS).read_bytes()
    (project.folder / WEIGHTS).unlink()
    output = project.done(*TORCHRUN, *STAGE)
    assert re.findall(r"epoch (\d)/4", output) == ["1", "2", "3", "4"]
    assert (project.folder / WEIGHTS).read_bytes() == launched


@pytest.mark.parametrize("processes_afterwards", [1, 2])
def test_a_killed_rank_ends_all_in_one_line_and_the_next_run_goes_on(
    project: Project, processes_afterwards: int
) -> None:
    project.set_params({"autoencoder": {"epochs": MANY}})
    with project.start(*STAGE) as stage:
        wait_for_epoch(stage, 2)
        ranks = ranks_below(stage)
        assert len(ranks) == 2
        ranks[1].kill()
        output, _ = stage.communicate(timeout=60)
    assert stage.returncode == TRANSIENT_EXIT
    (line,) = [line for line in output.splitlines() if not line.startswith("epoch ")]
    assert line.startswith("error: training process 2 of 2 was ended by SIGKILL. If the machine ran out of memory, ")
    require_gone(ranks)
    project.set_params({"training_processes": processes_afterwards})
    output = project.done(*STAGE)
    assert re.search(rf"resuming after epoch \d+ of {MANY}", output)
    assert len(history_of(project)) == MANY


@pytest.mark.parametrize("n_damaged", [1, 2])
def test_ranks_go_on_together_past_damaged_checkpoints(project: Project, n_damaged: int) -> None:
    project.set_params({"autoencoder": {"epochs": 12}})
    with project.start(*STAGE) as stage:
        wait_for_epoch(stage, 3)
        ranks = ranks_below(stage)
        stage.kill()
        stage.communicate(timeout=60)
    require_gone(ranks)
    checkpoints = sorted((project.folder / STATE / "resume/train_autoencoder@healthy").glob("epoch-*.checkpoint"))
    last = int(re.sub(r"\D", "", checkpoints[-1].name))
    for checkpoint in checkpoints[-n_damaged:]:
        spoil(checkpoint, DAMAGES["half"])
    output = project.done(*STAGE)
    assert output.count("is damaged: moved to") == n_damaged
    assert (f"resuming after epoch {last - 1} of 12" in output) == (n_damaged == 1)
    assert ("epoch 1/12" in output) == (n_damaged == 2)
    resumed = (project.folder / WEIGHTS).read_bytes()
    project.done(*STAGE)
    assert (project.folder / WEIGHTS).read_bytes() == resumed


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ranks_do_not_outlive_their_stage(project: Project, sign: signal.Signals) -> None:
    project.set_params({"autoencoder": {"epochs": MANY}})
    with project.start(*STAGE) as stage:
        wait_for_epoch(stage, 1)
        ranks = ranks_below(stage)
        began = time.monotonic()
        os.kill(stage.pid, sign)
        output, _ = stage.communicate(timeout=60)
    require_gone(ranks)
    assert time.monotonic() - began < 15
    assert stage.returncode in {-sign, 128 + sign}
    assert "Traceback" not in output


def test_an_error_that_all_ranks_see_is_said_once(project: Project) -> None:
    shutil.rmtree(project.folder / IMAGES)
    run = project.run(*STAGE)
    assert run.returncode == 1
    lost = shard_path(IMAGES, 0)
    assert run.stdout.splitlines() == [
        f"error: {lost}: missing. Run `dvc checkout {lost}`, or `coronet run`, which makes it again."
    ]


def test_too_few_gpus_are_said_before_anything_starts(project: Project) -> None:
    project.set_params({"device": "cuda"})
    run = project.run(*STAGE)
    assert run.returncode == 1
    assert re.fullmatch(r"error: (device = cuda|training_processes = 2): .*\n", run.stdout)


def test_a_stage_for_one_process_refuses_torchrun(project: Project) -> None:
    run = project.run(*TORCHRUN, "tasks", "evaluate")
    assert run.returncode != 0
    assert "error: evaluate runs in one process. Start it without torchrun." in run.stdout
