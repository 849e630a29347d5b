"""Shards on a real Ray cluster of two workers: the bytes of the local run, killed half-way and started again."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from coronet_core.common.classes import CLASSES
from flows.cli.images.predict_files import SOME_FAILED
from tasks.build_split.sources import list_images
from tasks.materialize_residuals.residual_shards import STAGE
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import IMAGE_NAMES, PREDICTIONS, RESIDUALS, STATE
from tests.integration.conftest import Project

pytest.importorskip("ray", reason="needs the extra coronet[ray]")
pytest.importorskip("prefect_ray", reason="needs the extra coronet[ray]")
pytestmark = [pytest.mark.integration, pytest.mark.slow]

KEPT = STATE / "resume" / STAGE
FIRST = KEPT / "energies-00000.npz"
BAD_FILES = {"empty.png": b"", "renamed.png": b"a letter, not an image", "cut.pgm": b"P5 96 96 255\n" + bytes(50)}
NUMBERS = [f"{kind}_{label}" for kind in ("probability", "calibrated") for label in CLASSES] + ["ood_score"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_when(found: Callable[[], bool], project: Project, *command: str) -> None:
    """Run a command until `found`, kill it as the system does when memory runs out, and see its cluster end."""
    log = project.folder / "killed.log"
    with log.open("w") as output:  # Prefect's temporary server outlives a flow that is killed, and would hold a pipe
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=project.folder,
            env=project.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 300
    while not found() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    cluster = [one for one in children if one.name() in ("raylet", "gcs_server") or "ray::_run" in one.name()]
    process.kill()
    process.wait()
    assert found(), log.read_text()
    assert cluster, "no process of Ray was running"
    deadline = time.monotonic() + 60
    while (alive := [one for one in cluster if is_alive(one)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    for child in children:
        if child.is_running():
            child.kill()
    assert not alive, f"the cluster outlived the flow: {alive}"


@pytest.fixture(scope="module")
def trained(finished_project: Project) -> Project:
    """A project with both autoencoders and no residual tensors."""
    finished_project.forget(STAGE)
    shutil.rmtree(finished_project.folder / RESIDUALS)
    return finished_project


@pytest.fixture(scope="module")
def local(finished: Project) -> dict[str, bytes]:
    """The residual tensors as this machine's stage makes them."""
    return files_of(finished.folder / RESIDUALS)


@pytest.fixture(scope="module")
def run_on_ray(trained: Project, local: dict[str, bytes]) -> "subprocess.CompletedProcess[str]":
    """`coronet run --ray local`, killed after its first shard, and the same command again."""
    assert len(local) > 10
    kill_when((trained.folder / FIRST).is_file, trained, "flows", "run", "--ray", "local")
    os.utime(trained.folder / KEPT / RESIDUALS.name / "shard-00000.npy", (1, 1))
    return trained.run("flows", "run", "--ray", "local")


def test_a_run_on_ray_goes_on_after_a_kill_and_completes(
    trained: Project, run_on_ray: "subprocess.CompletedProcess[str]"
) -> None:
    assert run_on_ray.returncode == 0, run_on_ray.stdout
    found = re.search(r"(\d+) of (\d+) shards to compute, with 1 threads each", run_on_ray.stdout)
    assert found is not None, run_on_ray.stdout
    to_compute, shards = map(int, found.groups())
    assert 0 < to_compute < shards
    assert (trained.folder / RESIDUALS / "shard-00000.npy").stat().st_mtime == 1  # the one that the killed run made


def test_residuals_from_ray_are_the_local_ones_byte_for_byte(
    trained: Project, run_on_ray: "subprocess.CompletedProcess[str]", local: dict[str, bytes]
) -> None:
    assert "shards to compute" in run_on_ray.stdout
    assert files_of(trained.folder / RESIDUALS) == local


def test_the_stage_computes_no_shard_that_ray_has_computed(run_on_ray: "subprocess.CompletedProcess[str]") -> None:
    shards = re.search(r"of (\d+) shards to compute", run_on_ray.stdout)
    assert shards is not None
    assert f"resuming with {shards[1]} of {shards[1]} shards" in run_on_ray.stdout


def test_the_project_s_code_goes_to_the_workers_with_the_job(trained: Project) -> None:
    program = (
        "from pathlib import Path\n"
        "from flows.ray.cluster import joined_cluster\n"
        "def sent(package):\n"
        "    import sys\n"
        "    from pathlib import Path\n"
        "    folders = [Path(entry, package) for entry in sys.path if 'py_modules_files' in entry]\n"
        "    return {path.name: path.read_bytes() for folder in folders for path in folder.glob('*.py')}\n"
        "with joined_cluster('local'):\n"
        "    import ray\n"
        "    for package in ('coronet_core', 'tasks', 'flows'):\n"
        "        here = {path.name: path.read_bytes() for path in Path(package).glob('*.py')}\n"
        "        print(package, 'same' if ray.get(ray.remote(sent).remote(package)) == here else 'other')\n"
    )
    (trained.folder / "sent.py").write_text(program)
    finished = trained.run("sent")
    lines = finished.stdout.splitlines()
    assert {"coronet_core same", "tasks same", "flows same"} <= set(lines), finished.stdout


@pytest.fixture(scope="module")
def scans(trained: Project, run_on_ray: "subprocess.CompletedProcess[str]") -> Path:
    """The original files of all images of the run, some that cannot be read, and one that is no image."""
    assert run_on_ray.returncode == 0, run_on_ray.stdout
    folder = trained.folder / "scans"
    params = read_params(trained.folder / "params.yaml")
    for record in list_images(params.data, params.seed).records:
        path = folder / f"{record.name}.pgm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(record.read())
    for name, content in {**BAD_FILES, "notes.txt": b"who is who"}.items():
        (folder / name).write_bytes(content)
    return folder


def predict(project: Project, out: str, *options: str) -> pd.DataFrame:
    finished = project.run("flows", "predict", "scans", "--out", out, "--shard-files", "4", *options)
    assert finished.returncode == SOME_FAILED, finished.stdout  # the bad ones
    return pd.read_parquet(project.folder / out)


@pytest.fixture(scope="module")
def predictions(trained: Project, scans: Path) -> pd.DataFrame:
    assert scans.is_dir()
    return predict(trained, "here.parquet")


def test_files_get_the_answers_that_the_run_gave_to_its_test_images(
    trained: Project, predictions: pd.DataFrame
) -> None:
    expected = pd.read_parquet(trained.folder / PREDICTIONS)
    names = pd.read_csv(trained.folder / IMAGE_NAMES).set_index("image_id")["name"]
    paths = [f"scans/{names[image_id]}.pgm" for image_id in expected["image_id"]]
    found = predictions.set_index("path").loc[paths]
    np.testing.assert_allclose(found[NUMBERS].to_numpy(float), expected[NUMBERS].to_numpy(float), rtol=1e-4, atol=1e-6)
    assert list(found["predicted"]) == list(expected["predicted"])


def test_bad_files_are_rows_with_reasons_and_what_is_no_image_is_none(predictions: pd.DataFrame) -> None:
    errors = predictions.dropna(subset="error").set_index("path")["error"]
    assert set(errors.index) == {f"scans/{name}" for name in BAD_FILES}
    assert errors["scans/empty.png"] == "empty file"
    assert not predictions["path"].str.endswith("notes.txt").any()


def test_predictions_killed_on_ray_go_on_and_are_those_made_here(trained: Project, predictions: pd.DataFrame) -> None:
    out = trained.folder / "ray.parquet"
    arguments = ["predict", "scans", "--out", out.name, "--shard-files", "4", "--ray", "local"]
    kill_when(lambda: any(out.glob("part-*")), trained, "flows", *arguments)
    kept = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert not (out / "_summary.json").exists()
    pd.testing.assert_frame_equal(predict(trained, out.name, "--ray", "local"), predictions)
    assert 0 < len(kept) < len(list(out.glob("part-*")))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_networks_that_do_not_belong_together_are_refused(trained: Project, scans: Path) -> None:
    assert scans.is_dir()
    weights, other = (trained.folder / f"models/autoencoder_{label}.safetensors" for label in ("healthy", "pneumonia"))
    kept = weights.read_bytes()
    weights.unlink()  # DVC may have linked it to its cache
    weights.write_bytes(other.read_bytes())
    finished = trained.run("flows", "predict", "scans", "--out", "none.parquet")
    weights.write_bytes(kept)
    assert finished.returncode == 1
    assert "autoencoder_healthy.safetensors: does not belong to the other networks" in finished.stdout
