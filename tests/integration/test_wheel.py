"""The program from a wheel, in an environment that has no clone of the repository, and in no project."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import pytest

from flows.servers.server_process import free_port
from tasks.external_validation.result_folder import FILES
from tasks.package.package_folder import write_package
from tasks.runtime.params.checks import read_params
from tests.conftest import PARAMS, PROJECT
from tests.integration.conftest import Project
from tests.integration.hosts import HTTP, running
from tests.tasks.external_run import from_elsewhere, write_folder
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "coronet_core", "tasks", "serving", "flows")
Coronet = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel. Its dependencies are those of this one, without the clone installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "clone").mkdir()
    for name in BUILT_FROM:
        copy: Callable[[Path, Path], object] = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / "clone" / name)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "clone"]
    subprocess.run(built, check=True, capture_output=True)
    shutil.rmtree(folder / "clone")
    venv.create(folder / "environment")
    python = folder / "environment" / "bin" / "python"
    (wheel,) = folder.glob("coronet-*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = (folder / "environment" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])  # not the .pth files in there
    return folder / "environment"


@pytest.fixture
def coronet(environment: Path, tmp_path: Path) -> Coronet:
    """A function that runs the wheel's `coronet` in a folder with a package and labelled images, and in no project."""
    params = read_params(PARAMS)
    maps = replace(params.explain, perturbation=replace(params.explain.perturbation, iterations=1))
    evaluated = replace(params.evaluate, bootstrap_replicates=100)
    ran = {"evaluate": asdict(evaluated), "audit": asdict(params.audit), "explain": asdict(maps)}
    write_package(tmp_path / "package", untrained_model(), CARD, some_lineage(params={"seed": 1, **ran}))
    write_folder(tmp_path / "ward", from_elsewhere())
    variables = Project(tmp_path).environment | {"PATH": os.pathsep.join([f"{environment}/bin", os.environ["PATH"]])}
    variables.pop("PYTHONPATH", None)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["coronet", *arguments], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )

    return run


def test_the_installed_program_says_its_version_and_is_not_the_clone(environment: Path, coronet: Coronet) -> None:
    assert coronet("--version").stdout == f"coronet {version('coronet')}\n"
    program = "import coronet_core, flows, serving, tasks; print(coronet_core.__file__, flows.__file__, tasks.__file__)"
    python = environment / "bin" / "python"
    places = subprocess.run([python, "-c", program], cwd="/", capture_output=True, text=True, check=True).stdout.split()
    assert all(place.startswith(f"{environment}/lib/") for place in places)


def test_a_package_predicts_without_a_project(coronet: Coronet, tmp_path: Path) -> None:
    finished = coronet("predict", "ward", "--model", "package", "--out", "predictions.csv")
    assert finished.returncode == 0, finished.stderr
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + 6


def test_a_package_is_validated_without_a_project(coronet: Coronet, tmp_path: Path) -> None:
    finished = coronet("validate", "ward", "--model", "package", "--out", "results")
    assert finished.returncode == 0, finished.stderr
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == sorted(FILES)


def test_a_package_explains_without_a_project(coronet: Coronet, tmp_path: Path) -> None:
    finished = coronet("explain", "ward", "--model", "package", "--method", "grad_cam", "--out", "maps")
    assert finished.returncode == 0, finished.stderr
    assert len(list((tmp_path / "maps").glob("*.png"))) == 6


@pytest.mark.usefixtures("coronet")
def test_a_package_is_served_without_a_project(environment: Path, tmp_path: Path) -> None:
    port, image = free_port(), tmp_path / "ward" / from_elsewhere()[0].name
    service = (str(environment / "bin" / "coronet"), "serve", "--model", str(tmp_path / "package"), "--port", str(port))
    with running(tmp_path / "service", f"http://127.0.0.1:{port}/ready", *service), image.open("rb") as file:
        answer = HTTP.post(f"http://127.0.0.1:{port}/explain", params={"format": "png"}, files={"files": file})
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\x89PNG")


def test_what_trains_says_that_it_needs_a_clone(coronet: Coronet) -> None:
    finished = coronet("run")
    assert finished.returncode == 1
    assert "no dvc.yaml here. Change to the folder of the project." in finished.stderr
