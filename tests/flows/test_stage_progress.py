"""What a stage says of how far it is."""

import logging

import pytest

from flows.monitoring import stage_progress as progress
from flows.monitoring.stage_progress import described, stage_log
from tasks.runtime.progress import (
    AS_LINES,
    METRICS_VARIABLE,
    PROGRESS_VARIABLE,
    MetricsEvent,
    Progress,
    ProgressEvent,
    log_metrics,
)


def lines(output: str) -> list[ProgressEvent]:
    return [standing for line in output.splitlines() if (standing := ProgressEvent.from_line(line)) is not None]


def test_a_flow_is_told_in_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(PROGRESS_VARIABLE, "lines")
    with Progress("training", 10, "images", done=4) as bar:
        bar.note("2 of 3 epochs")
        bar.advance(3)
        bar.advance(3)
    found = lines(capsys.readouterr().out)
    assert found[0] == ProgressEvent(done=7, total=10, unit="images", note="2 of 3 epochs")
    assert found[-1].done == 10


def test_nobody_else_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(PROGRESS_VARIABLE, raising=False)
    with Progress("training", 10, "images") as bar:
        bar.advance(10)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "line", ["epoch 1/3", "progress: none", "error: progress: {", "progress: {x", 'progress: {"done": 1}']
)
def test_other_lines_are_not_taken_for_it(line: str) -> None:
    assert ProgressEvent.from_line(line) is None


def test_the_page_says_rate_and_time_left() -> None:
    standing = ProgressEvent(done=1000, total=5000, unit="images", note="1 of 5 epochs")
    assert described(standing, 50) == "1 of 5 epochs, 1,000 of 5,000 images, 50.0 a second, 0:01:20 left"
    assert described(standing, 0) == "1 of 5 epochs, 1,000 of 5,000 images"


def test_a_line_of_a_stage_cannot_move_the_terminals_cursor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "get_run_logger", lambda: logging.getLogger("stage"))  # there is no run here
    with caplog.at_level(logging.INFO, "stage"):
        stage_log("train_cin")("\x1b[2J\u202eevil")
    assert caplog.messages == ["\\x1b[2J\\u202eevil"]


def test_metrics_go_to_whom_they_are_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(progress, "get_run_logger", lambda: logging.getLogger("stage"))  # there is no run here
    event, received = MetricsEvent(step=2, values={"validation_loss": 0.5}), list[tuple[str, MetricsEvent]]()
    with caplog.at_level(logging.INFO, "stage"):
        stage_log("train_cin", lambda *one: received.append(one))(event.line())
    assert (received, caplog.messages) == ([("train_cin", event)], [])


def test_a_stage_prints_its_metrics_if_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(METRICS_VARIABLE, raising=False)
    log_metrics({"validation_loss": 0.25}, 3)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv(METRICS_VARIABLE, AS_LINES)
    log_metrics({"validation_loss": 0.25}, 3)
    assert MetricsEvent.from_line(capsys.readouterr().out) == MetricsEvent(step=3, values={"validation_loss": 0.25})


@pytest.mark.parametrize("line", ["epoch 1/2", "metrics: ", "metrics: {", 'metrics: {"step": 1}', "progress: {}"])
def test_other_lines_are_no_metrics(line: str) -> None:
    assert MetricsEvent.from_line(line) is None
