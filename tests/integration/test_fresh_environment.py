"""The registered model where the project is not: `mlflow models serve` makes it an environment of its requirements."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from coronet_core.common.classes import CLASSES
from coronet_core.data.sources import phantom
from flows.servers.server_process import free_port
from tasks.package.package_folder import write_package
from tasks.package.prediction_schema import PREDICTION_FIELDS
from tasks.registry.model_requirements import requirements
from tasks.registry.registration import register
from tests.conftest import PROJECT
from tests.core.test_dicom import compressed, dicom
from tests.integration.conftest import with_this_interpreter_first
from tests.integration.hosts import served
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]
REGISTRY = ("uv", "pip", "compile", "--quiet", "--no-deps", "--refresh", "-")


@dataclass(frozen=True)
class ServedModel:
    """A registered package, some images, and the server of the version in an environment of its own."""

    folder: Path
    address: str
    python: Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registered package and images of several formats, in no project."""
    folder = tmp_path_factory.mktemp("fresh")
    write_package(folder / "package", untrained_model(), CARD, some_lineage())
    scans = folder / "scans"
    scans.mkdir()
    for label in CLASSES:
        Image.fromarray(phantom.draw(0, label, label, 0, 96)[0]).save(scans / f"{label}.png")
    (scans / "scan.dcm").write_bytes(compressed(JPEG2000Lossless, dicom()))
    (scans / "none.png").write_bytes(b"not an image")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", store_of(folder))
        register(folder / "package")
    return folder


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[ServedModel]:
    path, port = with_this_interpreter_first(), free_port()
    if shutil.which("uv", path=path) is None:
        pytest.skip("needs uv, which `make` installs")
    asked = subprocess.run(
        REGISTRY, input=requirements()[0], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        pytest.skip(f"needs a registry of packages: {asked.stderr[-300:]}")
    command = ["mlflow", "models", "serve", "--model-uri", "models:/coronet@challenger", "--env-manager", "uv"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    address, environments = f"http://127.0.0.1:{port}", folder / "environments"
    variables = {
        "HOME": os.environ["HOME"],  # with uv's cache
        "MLFLOW_ENV_ROOT": str(environments),
        "MLFLOW_TRACKING_URI": store_of(folder),
        "OMP_NUM_THREADS": "1",
    }
    with served(folder / "serve", f"{address}/ping", *command, **variables):
        (made,) = environments.iterdir()
        yield ServedModel(folder, address, made / "bin" / "python")
    shutil.rmtree(environments)  # gigabytes


def test_it_is_served_with_the_figures_of_predict(model: ServedModel) -> None:
    paths = sorted((model.folder / "scans").iterdir())
    images = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    response = httpx.post(f"{model.address}/invocations", json={"inputs": images}, timeout=120)
    assert response.status_code == 200, response.text
    answers = {path.name: answer for path, answer in zip(paths, response.json()["predictions"], strict=True)}
    assert "not an image" in answers["none.png"]["error"]
    assert answers == {name: pytest.approx(row) for name, row in predicted(model.folder).items()}


def predicted(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows that `coronet predict` prints, in the columns of the MLflow model."""
    command = [sys.executable, "-m", "flows", "predict", "scans", "--model", "package", "--format", "jsonl"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert len(rows) == len(CLASSES) + 2, finished.stderr
    names = [field.name for field in PREDICTION_FIELDS]
    return {Path(row["path"]).name: {name: row[name] for name in names} for row in rows}


def test_its_environment_has_neither_the_project_nor_what_training_needs(model: ServedModel) -> None:
    listing = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "list", "--python", str(model.python), "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    installed = {one["name"]: one["version"] for one in json.loads(listing.stdout)}
    assert {f"{name}=={installed.get(name)}" for name in installed} >= set(requirements())
    assert not installed.keys() & {
        "coronet",
        "mlflow",
        "prefect",
        "dvc",
        "scikit-learn",
        "scipy",
        "matplotlib",
        "imagehash",
    }
