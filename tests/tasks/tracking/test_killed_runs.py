"""Runs whose process is gone: ended as killed, and gone on with."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.runtime.tracking import orphaned_runs as abandoned
from tasks.runtime.tracking.mlflow_delivery import deliver, deliver_all, deliver_leftovers, mlflow_client
from tasks.runtime.tracking.orphaned_runs import end_abandoned_runs, end_lost_runs, end_own_runs
from tasks.runtime.tracking.run_owner import Owner
from tasks.runtime.tracking.run_record import EVENTS, all_records
from tasks.runtime.tracking.stage_run import StageRun
from tests.tasks.tracking.killed_process import killed_run, process_in_a_run
from tests.tasks.tracking.mlflow_runs import NOWHERE, run_of, runs, store


def test_the_run_of_a_killed_process_is_ended_as_killed() -> None:
    with process_in_a_run():
        deliver_all()
        deliver_leftovers()
        assert runs()["train_autoencoder@healthy"].info.status == "RUNNING"  # it lives
    deliver_leftovers()
    assert runs()["train_autoencoder@healthy"].info.status == "KILLED"


def test_a_killed_run_is_ended_before_the_next_one_begins_which_says_that_it_goes_on() -> None:
    killed = killed_run()
    with StageRun("train_autoencoder@healthy", {}) as run:
        assert run_of(killed).info.status == "KILLED"
        assert run.resumption is not None
        assert killed in run.resumption
        run.deliver()
        assert run.run_id is not None
        assert run_of(run.run_id).data.tags["coronet.resumes"] == killed


def test_a_killed_run_that_a_process_has_closed_and_not_reported_is_ended_by_the_next_one() -> None:
    killed = killed_run()
    end_abandoned_runs(is_delivered_elsewhere=True)  # as a stage does whose flow was killed: nobody reports it
    assert run_of(killed).info.status == "RUNNING"
    end_abandoned_runs()
    assert run_of(killed).info.status == "KILLED"
    assert list(all_records()) == []


def test_a_failed_run_is_gone_on_with_until_one_has_finished() -> None:
    with pytest.raises(ValueError, match="bad"), StageRun("train_cin", {}):
        raise ValueError("bad luck")
    failed = runs()["train_cin"].info.run_id
    with StageRun("train_cin", {}) as second:
        pass
    with StageRun("train_cin", {}) as third:
        pass
    tags = [run_of(str(run.run_id)).data.tags.get("coronet.resumes") for run in (second, third)]
    assert tags == [failed, None]


@pytest.mark.parametrize(
    ("name", "params"), [("train_autoencoder@pneumonia", {}), ("train_autoencoder@healthy", {"cin": 1})]
)
def test_another_stage_or_other_params_go_on_from_nothing(name: str, params: dict[str, int]) -> None:
    killed_run()
    with StageRun(name, params) as run:
        assert run.resumption is None


def test_the_same_stage_of_another_folder_goes_on_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_run()
    other = tmp_path / "workspace"
    (other / ".coronet").mkdir(parents=True)
    (other / ".coronet" / "tracking").symlink_to(tmp_path / ".coronet" / "tracking", target_is_directory=True)
    monkeypatch.chdir(other)
    with StageRun("train_autoencoder@healthy", {}) as run:
        assert run.resumption is None


def test_a_killed_run_whose_server_is_away_holds_nothing_up_and_is_ended_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = killed_run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    end_abandoned_runs()
    assert capsys.readouterr().out == ""  # it may be another command's output
    assert run_of(killed).info.status == "RUNNING"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store())
    deliver_leftovers()
    assert run_of(killed).info.status == "KILLED"


@pytest.mark.slow
@pytest.mark.parametrize("wait_s", [0.0, 5.0], ids=["a file", "a server, which takes something in time"])
def test_mlflow_that_is_slow_but_answers_is_waited_for(monkeypatch: pytest.MonkeyPatch, wait_s: float) -> None:
    killed = killed_run()

    def slowly(action: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            time.sleep(3)
            return action(*arguments)

        return act

    if wait_s:
        monkeypatch.setattr(abandoned, "SQLITE", "none of these")
    monkeypatch.setattr(abandoned, "WAIT_S", wait_s)  # for one step, not for both
    monkeypatch.setattr(abandoned, "mlflow_client", slowly(mlflow_client))
    monkeypatch.setattr(abandoned, "deliver", slowly(deliver))
    end_abandoned_runs()
    assert run_of(killed).info.status == "KILLED"


def test_a_record_of_another_host_that_shares_the_folder_is_left_alone() -> None:
    killed = killed_run()
    (record,) = all_records()
    events = record.folder / EVENTS
    events.write_text(events.read_text().replace(f'"host": "{socket.gethostname()}"', '"host": "elsewhere"'))
    end_abandoned_runs()
    assert not record.is_ended
    assert run_of(killed).info.status == "RUNNING"


def test_a_record_that_a_disk_has_spoilt_stops_nobody() -> None:
    killed = killed_run()
    (record,) = all_records()
    spoilt = record.folder.with_name("0-spoilt")
    spoilt.mkdir()
    (spoilt / EVENTS).write_text("\0\0\0\n")
    with StageRun("train_cin", {}):
        assert run_of(killed).info.status == "KILLED"


def test_a_process_that_has_no_runs_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/new.db")
    end_own_runs()
    end_abandoned_runs()
    assert not (tmp_path / "new.db").exists()


def test_a_process_that_is_about_to_go_ends_its_runs() -> None:
    pipeline = StageRun("pipeline", {})
    stage = StageRun("train_cin", {})
    for run in (pipeline, stage):
        run.deliver()
    end_own_runs()
    assert {run.info.status for run in runs().values()} == {"KILLED"}
    assert list(all_records()) == []
    assert StageRun("train_cin", {}).resumption == (
        f"resumes a run that did not finish: {runs()['train_cin'].info.run_id}"
    )


def test_runs_that_no_record_tells_of_are_ended_if_their_process_of_this_host_is_gone() -> None:
    this = Owner.this_process()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    owners = {
        "gone": replace(this, pid=ended.pid),
        "same number, started later": replace(this, started_s=this.started_s + 60),
        "living": this,
        "of another host": replace(this, host="elsewhere", pid=ended.pid),
        "of another boot or container": replace(this, system="another", pid=ended.pid),
    }
    client = MlflowClient(store())
    experiment = client.create_experiment("coronet")
    tags = {name: owner.as_tags() for name, owner in owners.items()} | {"somebody's": {}}
    for name, those in tags.items():
        client.create_run(experiment, run_name=name, tags=those)
    end_lost_runs()
    statuses = {name: run.info.status for name, run in runs().items()}
    assert statuses == {name: "KILLED" if name in list(owners)[:2] else "RUNNING" for name in tags}
