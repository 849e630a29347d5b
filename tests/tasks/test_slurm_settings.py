"""The file that says which stages are SLURM jobs."""

import importlib.util
from pathlib import Path

import pytest

from coronet_core.support.errors import CoroNetError, ParamsError
from tasks.runtime.compute.slurm_settings import (
    SLURM_VARIABLE,
    read_slurm_file,
    settings_of_stage,
    slurm_variables,
)

JOBS = """\
default: {partition: gpu, time: 240}
train_autoencoder: {gpus_per_node: 1}
train_autoencoder@pneumonia: {time: 60}
train_cin:
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "slurm.yaml"
    path.write_text(JOBS)
    monkeypatch.setenv(SLURM_VARIABLE, str(path))
    return path


@pytest.mark.usefixtures("jobs")
@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="needs the extra coronet[slurm]")
@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("train_autoencoder@healthy", {"partition": "gpu", "time": 240, "gpus_per_node": 1}),
        ("train_autoencoder@pneumonia", {"partition": "gpu", "time": 60}),
        ("train_cin", {"partition": "gpu", "time": 240}),
        ("evaluate", None),
    ],
)
def test_a_stage_has_its_own_settings_over_the_shared_ones(stage: str, settings: dict[str, object] | None) -> None:
    assert settings_of_stage(stage) == settings


def test_without_the_variable_every_stage_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SLURM_VARIABLE, raising=False)
    assert settings_of_stage("train_cin") is None


@pytest.mark.usefixtures("jobs")
def test_without_submitit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CoroNetError, match=r"pip install 'coronet\[slurm\]'"):
        settings_of_stage("train_cin")


def test_a_flow_hands_its_stages_the_full_path(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(jobs.parent)
    assert slurm_variables(Path(jobs.name)) == {SLURM_VARIABLE: str(jobs)}
    assert slurm_variables(None) == {}


def test_a_job_without_a_time_is_refused(jobs: Path) -> None:
    jobs.write_text("train_cin: {partition: gpu}")
    with pytest.raises(ParamsError, match="train_cin: has no time"):
        settings_of_stage("train_cin")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"train_cim: {}", r"train_cim: no such stage\. Stages are: build_split, train_autoencoder"),
        (b"train_cin@healthy: {}", "train_cin@healthy: no such stage"),
        (b"train_cin: {time: '1:00:00'}", "train_cin: time = 1:00:00: give a whole number of minutes"),
        (b"default: {time: 0}", "default: time = 0: give a whole number of minutes, 3 or more"),
        (b"default: {time: true}", "default: time = True"),
        (b"default: {nodes: 2}", "default: nodes cannot be set"),
        (b"train_cin: {job_name: mine}", "train_cin: job_name cannot be set"),
        (b"train_cin: gpu", "train_cin: not a mapping"),
        (b"[train_cin]", "not a mapping of stages"),
        (b"", "not a mapping of stages"),
        (b"a: [", "cannot be read as YAML"),
        (b"\xff", "cannot be read as YAML"),
    ],
)
def test_a_wrong_file_is_refused(content: bytes, error: str, tmp_path: Path) -> None:
    path = tmp_path / "slurm.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=error):
        read_slurm_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"slurm\.yaml: cannot be read as YAML \(No such file or directory\)"):
        slurm_variables(tmp_path / "slurm.yaml")
