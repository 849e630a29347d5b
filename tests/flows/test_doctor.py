"""What `coronet doctor` finds, and whether it asks for something to be done."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coronet_core.common.cpu_count import usable_cores
from flows.overview import machine
from flows.overview.doctor import examine
from flows.overview.installation import check_dvc, check_git, check_project, check_servers
from flows.overview.machine import check_disk, check_gpus, check_memory, check_threads
from tasks.runtime.params.checks import read_params
from tests.conftest import PROJECT
from tests.integration.conftest import Project, make_project

DOWN = "http://alice:secret@127.0.0.1:9"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a committer and no servers; the current folder."""
    project = make_project(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PREFECT_HOME", str(project.prefect_home))
    for variable in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    for key, value in {"user.name": "test", "user.email": "test@localhost"}.items():
        subprocess.run(["git", "config", key, value], check=True)
    return project


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True)


@pytest.mark.usefixtures("project")
def test_a_clone_lacks_nothing_that_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine(tries_remote=False) == 0
    lines = capsys.readouterr().out.splitlines()
    levels = {line[9:24].strip(): line[:9].strip() for line in lines if line[0] != " "}
    assert {"project", "disk", "memory", "threads", "number format", "GPU", "git", "MLflow"} < set(levels)
    assert "missing" not in levels.values()
    assert (levels["project"], levels["git"], levels["DVC remote"]) == ("ok", "ok", "warning")
    assert any(line.startswith("ok") and line.endswith("none needed: phantoms are drawn") for line in lines)
    assert any("`dvc remote add --default NAME URL`" in line for line in lines)


def test_elsewhere_it_says_what_is_missing_and_ends_with_1(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "flows", "doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "missing  project" in finished.stdout
    assert "no dvc.yaml here. Change to the folder of the project." in finished.stdout
    assert "missing  DVC remote" in finished.stdout
    assert "Unset ATEN_CPU_CAPABILITY=default: it may slow the processor down." in finished.stdout
    assert finished.stderr == ""


@pytest.mark.usefixtures("project")
def test_faulty_parameters_are_named() -> None:
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("seed: 2020", "seed: none"))
    assert check_project().level == "missing"
    assert "allowed: a whole number" in check_project().remedy


@pytest.mark.usefixtures("project")
def test_a_configured_server_that_is_down_matters_where_a_run_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.level for one in check_servers()] == ["ok", "ok"]
    monkeypatch.setenv("PREFECT_API_URL", f"{DOWN}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DOWN)
    prefect, mlflow = check_servers()
    assert (prefect.level, mlflow.level) == ("missing", "warning")
    assert "secret" not in prefect.found + mlflow.found


@pytest.mark.usefixtures("project")
def test_the_remote_of_dvc_is_tried_when_that_is_asked_for(tmp_path: Path) -> None:
    dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    assert check_dvc(tries_remote=False).level == "ok"
    assert "nothing there yet" in check_dvc(tries_remote=True).found
    (tmp_path / "store" / "files" / "md5").mkdir(parents=True)
    assert check_dvc(tries_remote=True).found.endswith("can be read")
    dvc("remote", "modify", "store", "url", "http://alice:secret@127.0.0.1:9/store")
    tried = check_dvc(tries_remote=True)
    assert tried.level == "missing"
    assert "cannot be read" in tried.found
    assert "secret" not in tried.found + tried.remedy


@pytest.mark.usefixtures("project")
def test_git_knows_who_commits_and_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert check_git().level == "ok"
    subprocess.run(["git", "config", "--unset", "user.email"], check=True)
    assert (check_git().level, check_git().found.endswith(", no user.email")) == ("warning", True)
    shutil.rmtree(".git")
    assert (check_git().level, check_git().found) == ("warning", "no git clone with a commit here")
    monkeypatch.setenv("PATH", "")
    assert (check_git().level, check_git().remedy) == ("missing", "Install git.")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.usefixtures("project")
def test_params_that_want_a_gpu_need_one() -> None:
    assert check_gpus(read_params()).level == "ok"
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("device: auto", "device: cuda"))
    found = check_gpus(read_params())
    assert (found.level, found.remedy) == (
        "missing",
        "device = cuda: torch finds no GPU here. Set device to auto or cpu.",
    )


def test_a_gpu_that_torch_does_not_find_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "nvidia_smi_rows", lambda _: [["GPU-0"]])
    assert check_gpus(None).level == "warning"


@pytest.mark.parametrize(
    ("asked", "level"), [(usable_cores(), "ok"), (usable_cores() + 1, "warning"), ("no", "warning")]
)
def test_another_number_of_threads_is_a_warning(monkeypatch: pytest.MonkeyPatch, asked: int | str, level: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(asked))
    assert check_threads().level == level


def test_little_disk_or_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DISK_GIB", 0.0)
    monkeypatch.setattr(machine, "MEMORY_GIB", 0.0)
    assert (check_disk().level, check_memory().level) == ("ok", "ok")
    monkeypatch.setattr(machine, "DISK_GIB", float("inf"))
    assert (check_disk().level, check_memory().level) == ("warning", "ok")
    monkeypatch.setattr(machine, "group_limit", lambda: 3 * machine.GIB)
    monkeypatch.setattr(machine, "MEMORY_GIB", 4.0)
    assert check_memory().level == "warning"
    assert "container allows 3.0 GiB" in check_memory().found
