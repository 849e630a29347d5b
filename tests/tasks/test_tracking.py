"""Run records and their delivery, to a real MLflow store and to none."""

import os
import signal
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
from mlflow.entities import Run

from tasks.runtime.tracking import orphaned_runs as abandoned
from tasks.runtime.tracking import run_record as record_module
from tasks.runtime.tracking.delivery import deliver, deliver_leftovers, mlflow_client
from tasks.runtime.tracking.orphaned_runs import end_abandoned_runs, end_lost_runs, end_own_runs
from tasks.runtime.tracking.run_owner import Owner
from tasks.runtime.tracking.run_record import EVENTS, all_records
from tasks.runtime.tracking.stage_run import PARENT_RUN_VARIABLE, PARENT_VARIABLE, StageRun, flattened
from tests.tasks.damage import DAMAGES, Damage, spoil

NOWHERE = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture(autouse=True)
def project(mlflow_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert mlflow_store == store()
    for variable in (PARENT_VARIABLE, PARENT_RUN_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def store() -> str:
    """The store of this test."""
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def all_runs() -> list[Run]:
    client = MlflowClient(store())
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def runs() -> dict[str, Run]:
    return {str(run.info.run_name): run for run in all_runs()}


def track(name: str = "train_cin") -> None:
    Path("weights.bin").write_text("first")
    with StageRun(name, {"cin": {"epochs": 2}}) as run:
        run.metrics({"loss": 2.0}, step=1)
        run.metrics({"loss": 1.0}, step=2)
        run.artifact(Path("weights.bin"))


def test_a_run_has_params_metrics_artifacts_and_an_end() -> None:
    track()
    run = runs()["train_cin"]
    client = MlflowClient(store())
    assert run.data.params == {"cin.epochs": "2"}
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")] == [2.0, 1.0]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["weights.bin"]
    assert run.info.status == "FINISHED"
    assert "git.commit" in run.data.tags


def test_a_stage_is_nested_under_its_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    with StageRun("pipeline", {}) as pipeline:
        monkeypatch.setenv(PARENT_VARIABLE, pipeline.key)
        track()
        with StageRun("report", {}) as nested:
            assert nested.parent_run_id == runs()["pipeline"].info.run_id
        assert pipeline.parent_run_id is None
    assert runs()["train_cin"].data.tags["mlflow.parentRunId"] == runs()["pipeline"].info.run_id


def test_a_stage_on_another_host_is_nested_by_its_parents_run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    track("pipeline")
    parent = runs()["pipeline"].info.run_id
    monkeypatch.setenv(PARENT_RUN_VARIABLE, parent)
    with StageRun("report", {}) as nested:
        assert nested.parent_run_id == parent
    assert runs()["report"].data.tags["mlflow.parentRunId"] == parent


def test_a_parent_that_this_store_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PARENT_RUN_VARIABLE, "f" * 32)
    track()
    run = runs()["train_cin"]
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.info.status == "FINISHED"


def test_a_failed_stage_is_a_failed_run_with_its_reason() -> None:
    with pytest.raises(ValueError, match="bad"), StageRun("evaluate", {}):
        raise ValueError("bad luck")
    run = runs()["evaluate"]
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "bad luck"


def test_a_server_that_is_down_costs_nothing_and_is_told_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    track()
    assert "MLflow cannot be reached" in capsys.readouterr().out
    Path("weights.bin").unlink()  # the next run of the stage replaces its outs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store())
    deliver_leftovers()
    run = runs()["train_cin"]
    stored = MlflowClient(store()).download_artifacts(run.info.run_id, "weights.bin")
    assert Path(stored).read_text() == "first"
    assert (run.data.metrics["loss"], run.info.status) == (1.0, "FINISHED")
    assert list(all_records()) == []


def test_a_run_whose_creation_was_done_but_not_heard_of_is_created_once(monkeypatch: pytest.MonkeyPatch) -> None:
    created = MlflowClient.create_run

    def create_and_be_gone(*arguments: Any, **named: Any) -> None:
        created(*arguments, **named)
        raise ConnectionError("the server has been killed")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", create_and_be_gone)
        track()
    client = MlflowClient(store())
    deliver_leftovers()
    (experiment,) = client.search_experiments(filter_string="name = 'coronet'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"loss": 1.0}


def test_what_mlflow_refuses_does_not_hold_up_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with StageRun("explain", {}) as run:
        run.metrics({"no@good": 1.0})
        run.metrics({"good": 2.0})
    assert "MLflow refuses a record of kind metrics" in capsys.readouterr().out
    assert runs()["explain"].data.metrics == {"good": 2.0}


def test_a_run_that_mlflow_refuses_does_not_hold_up_others(capsys: pytest.CaptureFixture[str]) -> None:
    track("evaluate")
    client = MlflowClient(store())
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    track("explain")
    assert "MLflow refuses the run" in capsys.readouterr().out
    assert list(all_records()) == []


def test_artifacts_outside_the_project_are_refused(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("here")
    with StageRun("explain", {}) as run, pytest.raises(ValueError, match="below the project's folder"):
        run.artifact(precious)
    assert precious.read_text() == "here"


KILLED = """
import sys, time
from tasks.runtime.tracking.stage_run import StageRun
with StageRun("train_autoencoder@healthy", {}) as run:
    run.deliver()
    print("started", flush=True)
    time.sleep(60)
"""


def test_the_run_of_a_killed_process_is_ended_as_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        deliver_leftovers()
        assert runs()["train_autoencoder@healthy"].info.status == "RUNNING"  # it lives
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.1)
    deliver_leftovers()
    assert runs()["train_autoencoder@healthy"].info.status == "KILLED"


def test_half_an_event_that_a_kill_has_left_is_dropped_and_the_run_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "started\n":
            pass
        process.kill()
    (record,) = all_records()
    with (record.folder / EVENTS).open("a") as file:
        file.write('{"kind": "metrics", "val')
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store())
    deliver_leftovers()
    assert runs()["train_autoencoder@healthy"].info.status == "KILLED"
    assert list(all_records()) == []


def recorded_without_mlflow(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record a run that MLflow has not received; returns the folder of the record."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    with StageRun("explain", {"seed": 1}) as run:
        run.metrics({"loss": 1.0})
        run.metrics({"loss": 2.0}, step=1)
    (record,) = all_records()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store())
    return record.folder


@pytest.mark.parametrize("place", [1, 2], ids=["half of it other bytes", "half of it zeros"])
def test_a_damaged_event_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    events = recorded_without_mlflow(monkeypatch) / EVENTS
    lines = events.read_bytes().splitlines(keepends=True)
    lines[place] = lines[place][:9] + (b"\xff" if place == 1 else b"\0") * 9 + lines[place][18:]
    events.write_bytes(b"".join(lines))
    deliver_leftovers()
    assert list(all_records()) == []
    run = runs()["explain"]
    assert (run.info.status, run.data.metrics["loss"]) == ("FINISHED", 2.0 if place == 1 else 1.0)


@pytest.mark.parametrize("damage", [DAMAGES["nothing left"], DAMAGES["other first bytes"]], ids=["empty", "no start"])
def test_a_record_without_its_start_is_set_aside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: Damage
) -> None:
    folder = recorded_without_mlflow(monkeypatch)
    spoil(folder / EVENTS, damage)
    for told in (1, 0):
        capsys.readouterr()
        deliver_leftovers()
        assert capsys.readouterr().err.count(f"warning: {folder} is damaged") == told


def test_damaged_notes_on_what_mlflow_has_received_cost_nothing() -> None:
    with StageRun("explain", {"seed": 1}) as run:
        run.metrics({"loss": 1.0})
        run.deliver()
        record = record_module.RunRecord(run.key)
        for note in (record.folder / "n_sent", record_module.RUN_IDS / run.key):
            spoil(note, DAMAGES["other first bytes"])
        run.metrics({"loss": 2.0}, step=1)
    assert [run.info.status for run in all_runs()] == ["FINISHED"]
    assert len(MlflowClient(store()).get_metric_history(all_runs()[0].info.run_id, "loss")) == 2


def test_a_record_that_is_being_begun_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    write = record_module._append

    def look_first(path: Path, kind: str, payload: dict[str, Any]) -> None:
        seen.append(list(all_records()))
        write(path, kind, payload)

    monkeypatch.setattr(record_module, "_append", look_first)
    record = record_module.RunRecord.begin("explain", {}, name="explain", tags={}, parent=None)
    assert seen == [[]]
    record_module.RunRecord(record.key).close_if_abandoned()
    assert [event["kind"] for event in record.events()] == ["start"]


def killed_run(params: str = "{}") -> str:
    """Have a process begin a run and be killed; returns MLflow's id of the run, which is running there."""
    with subprocess.Popen([sys.executable, "-c", KILLED.replace("{}", params)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline() != b"started\n":
            pass
        process.kill()
    run = runs()["train_autoencoder@healthy"]
    assert run.info.status == "RUNNING"
    return str(run.info.run_id)


def run_of(run_id: str) -> Run:
    return MlflowClient(store()).get_run(run_id)


def test_a_killed_run_is_ended_before_the_next_one_begins_which_says_that_it_goes_on() -> None:
    killed = killed_run()
    with StageRun("train_autoencoder@healthy", {}) as run:
        assert run_of(killed).info.status == "KILLED"
        assert run.resumption is not None
        assert killed in run.resumption
        run.deliver()
        assert run.run_id is not None
        assert run_of(run.run_id).data.tags["coronet.resumes"] == killed


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
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    end_abandoned_runs()
    assert capsys.readouterr().out == ""  # it may be another command's output
    assert run_of(killed).info.status == "RUNNING"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store())
    deliver_leftovers()
    assert run_of(killed).info.status == "KILLED"


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
        f"goes on from a run that did not come to its end: {runs()['train_cin'].info.run_id}"
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


def test_params_are_flat_for_mlflow() -> None:
    nested = {"data": {"sources": [{"kind": "phantom"}], "size": 64}, "seed": 1}
    assert flattened(nested) == {"data.sources": "[{'kind': 'phantom'}]", "data.size": "64", "seed": "1"}
