"""Run records: delivered late, once, and as far as they are whole."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.runtime.tracking import run_record as record_module
from tasks.runtime.tracking.mlflow_delivery import deliver_leftovers
from tasks.runtime.tracking.run_record import EVENTS, all_records
from tasks.runtime.tracking.stage_run import StageRun
from tests.tasks.damage import DAMAGES, Damage, spoil
from tests.tasks.tracking.killed_process import process_in_a_run
from tests.tasks.tracking.mlflow_runs import NOWHERE, all_runs, runs, store, track


def test_a_server_that_is_down_costs_nothing_and_is_told_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
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


def test_half_an_event_that_a_kill_has_left_is_dropped_and_the_run_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    with process_in_a_run():
        pass
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
