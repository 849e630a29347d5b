"""A stage that fails under DVC leaves the outs of its last finished run."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flows.project.processes import stage_environment
from tasks.runtime.former_outs import RUN_BY_DVC, restore_former_outs

STAGES = "stages:\n  train:\n    cmd: cp data weights\n    deps: [data]\n    outs: [weights]\n"


@pytest.fixture(autouse=True)
def failed_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project in whose stage `train`, run once, DVC has deleted the out to run it again."""
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("1")
    Path("dvc.yaml").write_text(STAGES)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"]):
        subprocess.run(command, check=True, env=stage_environment())
    Path("data").write_text("2")
    Path("weights").unlink()
    monkeypatch.setenv(RUN_BY_DVC, "train")


def test_the_outs_of_the_last_finished_run_are_back() -> None:
    restore_former_outs("train")
    assert Path("weights").read_text() == "1"


def test_without_dvc_nothing_was_deleted_and_nothing_is_brought_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_BY_DVC)
    restore_former_outs("train")
    assert not Path("weights").exists()


def test_what_the_cache_does_not_have_stays_as_it_is() -> None:
    shutil.rmtree(".dvc/cache")
    restore_former_outs("train")
    assert not Path("weights").exists()


def test_a_damaged_state_of_dvc_is_one_line_beside_the_stages_own_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Path("site").absolute()
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(site))
    restore_former_outs("train")
    for database in site.rglob("cache.db"):
        database.write_bytes(b"no database" * 1000)
    capsys.readouterr()
    Path("weights").unlink()
    restore_former_outs("train")
    assert capsys.readouterr().err.startswith("warning: the former results are not restored (")
