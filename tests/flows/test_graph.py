"""What DVC would do, asked beforehand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.project.graph import stale_stages, will_run

DAG = """
stages:
  copy:
    cmd: cp params.yaml out
    params: [epochs]
    outs: [out]
"""


def repro(epochs: int) -> None:
    Path("params.yaml").write_text(f"epochs: {epochs}\n")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True)


@pytest.fixture
def run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of one stage, run with 1 epoch; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})
    Path("dvc.yaml").write_text(DAG)
    repro(1)


@pytest.mark.usefixtures("run_once")
def test_a_stage_that_is_up_to_date_does_not_run() -> None:
    assert not will_run("copy")


@pytest.mark.usefixtures("run_once")
def test_a_stage_with_other_params_runs() -> None:
    Path("params.yaml").write_text("epochs: 2\n")
    assert will_run("copy")


@pytest.mark.usefixtures("run_once")
def test_a_stage_whose_out_is_gone_or_that_has_run_like_this_before_is_restored() -> None:
    Path("out").unlink()
    assert stale_stages(["copy"]) == ["copy"]
    assert not will_run("copy")
    repro(2)
    Path("params.yaml").write_text("epochs: 1\n")
    assert stale_stages(["copy"]) == ["copy"]
    assert not will_run("copy")


@pytest.mark.usefixtures("run_once")
def test_a_stage_that_is_not_in_the_cache_runs() -> None:
    Path("out").unlink()
    for path in Path(".dvc/cache/files").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.unlink()
    assert will_run("copy")
