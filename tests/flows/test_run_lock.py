"""One at a time, in this process and others."""

import subprocess
import sys
from pathlib import Path

import pytest

from coronet_core.support.errors import CoroNetError
from flows.pipeline.run import bring_up_to_date
from flows.project.run_lock import RETRAIN_LOCK, alone
from tests.conftest import PROJECT

HOLD = """
import sys, time
from pathlib import Path
from flows.project.run_lock import alone
with alone(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "work.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(CoroNetError, match="the work is already running in another"),
            alone(lock, "the work"),
        ):
            pytest.fail("two at once")
        holder.kill()
        holder.wait()
    with alone(lock, "the work"):
        pass


def test_the_params_of_a_running_retrain_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("of the running one")
    with (
        alone(RETRAIN_LOCK, "retrain"),
        pytest.raises(CoroNetError, match="retrain is already running in another process"),
    ):
        bring_up_to_date(lambda: pytest.fail("two at once"), PROJECT / "params" / "demo.yaml")
    assert Path("params.yaml").read_text() == "of the running one"
