"""Raw data that are not here: what is stale all the same, and that no server is asked for them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from flows.project.graph import stale_stages
from flows.project.processes import stage_environment
from flows.project.raw_data import absent_raw_data

IMPORT = "deps:\n- path: s3://nowhere/xrays\n  hash: md5\nouts:\n- path: raw\n  md5: {}\n  hash: md5\nfrozen: true\n"
STAGES = "stages:\n  build_split:\n    cmd: wc -c raw/1.png > split\n    deps: [raw]\n    outs: [split]\n"


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose split was built of imported raw data, which are not here."""
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    Path("raw/1.png").write_text("1")
    Path("dvc.yaml").write_text(STAGES)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro", "-q"]):
        subprocess.run(command, check=True, env=stage_environment())
    shutil.rmtree("raw")
    md5 = Path("dvc.lock").read_text().split("- path: raw")[1].split("md5: ")[1].split()[0]
    Path("raw.dvc").write_text(IMPORT.format(md5))


def test_nothing_is_stale_and_what_is_not_here_is_named() -> None:
    assert stale_stages(["build_split"]) == []
    assert absent_raw_data() == [Path("raw")]


def test_another_version_of_the_raw_data_counts() -> None:
    Path("raw.dvc").write_text(IMPORT.format("0123456789abcdef0123456789abcdef.dir"))
    assert stale_stages(["build_split"]) == ["build_split"]


def test_a_split_that_is_not_here_either_is_stale() -> None:
    Path("split").unlink()
    assert stale_stages(["build_split"]) == ["build_split"]
