"""Bars of runs and studies: on a real pseudo-terminal, and nothing of them in a pipe."""

import os
import re
import subprocess
import sys
import time
from io import StringIO

import pytest
from rich.console import Console

from flows.cli.run_display import stage_display
from tasks.runtime.progress import AS_LINES, PROGRESS_VARIABLE, ProgressEvent
from tests.conftest import PROJECT
from tests.pseudo_terminal import on_a_terminal

PROGRAM = """
import logging, signal, sys, threading, time
from contextvars import copy_context
import flows.monitoring.stage_progress as told
from flows.cli.run_display import run_display
from tasks.runtime.progress import ProgressEvent

def of_stage(*folds):  # as a task's thread has it
    if folds:
        with told.watched_as(folds[0]):
            return of_stage()
    watcher = told._watcher.get()
    for done in range(0, 101, 20):
        if watcher is not None:
            watcher.show("train_cin", ProgressEvent(done=done, total=100, unit="images", note="2 of 3 epochs [best]"))
        log.info("epoch %s", done)
        time.sleep(0.3)
    told.note_end("train_cin")

log = logging.getLogger("prefect.coronet")  # on the console of the log of runs
if "interrupted" in sys.argv:
    signal.signal(signal.SIGINT, lambda *_: print("Stopped.", file=sys.stderr, flush=True) or sys.exit(130))
folds = [name for name in sys.argv[1:] if name.startswith("fold")]
with run_display():
    threads = [
        threading.Thread(target=copy_context().run, args=(of_stage, *fold), daemon=True)
        for fold in ([(name,) for name in folds] or [()])
    ]
    for thread in threads:
        thread.start()
    if "interrupted" in sys.argv:
        time.sleep(1)
        signal.raise_signal(signal.SIGINT)
    for thread in threads:
        thread.join()
log.info("the end")
"""
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def environment(**variables: str) -> dict[str, str]:
    return os.environ | {"COLUMNS": "160", "TERM": "xterm"} | variables


def on_terminal(*arguments: str, **variables: str) -> tuple[str, int]:
    return on_a_terminal([sys.executable, "-c", PROGRAM, *arguments], PROJECT, environment(**variables))


def test_a_terminal_shows_bars_with_rate_and_time_left_below_the_log() -> None:
    written, code = on_terminal()
    assert code == 0
    for text in ("train_cin", "60 of 100", "images/s", "0:00:0", "2 of 3 epochs [best]", "epoch 100", "the end"):
        assert text in written
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)
    assert "train_cin" not in written[written.rindex("the end") :]


def test_folds_at_once_have_a_bar_each_that_names_the_fold() -> None:
    written, code = on_terminal("fold-1", "fold-2")
    assert code == 0
    for fold in ("fold-1", "fold-2"):
        assert f"{fold}: train_cin" in written
        assert f"{fold}: train_cin" not in written[written.rindex("the end") :]


def test_without_colours_there_are_none() -> None:
    written, _ = on_terminal(NO_COLOR="1")
    assert "60 of 100" in written
    assert "\x1b[36m" not in written


def test_ctrl_c_gives_the_cursor_back_and_does_what_it_did() -> None:
    written, code = on_terminal("interrupted")
    assert code == 130
    assert written.index("Stopped.") > written.rindex(SHOW_CURSOR) > written.index(HIDE_CURSOR)


@pytest.mark.parametrize("variables", [{}, pytest.param({"CI": "true"}, marks=pytest.mark.slow)])
def test_a_pipe_has_the_lines_of_the_log_alone(variables: dict[str, str]) -> None:
    command = [sys.executable, "-c", PROGRAM]
    finished = subprocess.run(
        command, cwd=PROJECT, env=environment(**variables), capture_output=True, text=True, check=True
    )
    written = finished.stdout + finished.stderr
    assert "epoch 100" in written
    assert "\x1b" not in written
    assert "60 of 100" not in written


@pytest.mark.slow
def test_a_terminal_that_can_only_write_lines_has_them() -> None:
    written, _ = on_terminal(TERM="dumb")
    assert "epoch 100" in written
    assert "60 of 100" not in written


def test_a_stage_without_a_flow_has_a_bar_on_a_terminal_below_its_output() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=120, legacy_windows=False)
    with stage_display("build_split", console) as (variables, on_line):
        on_line(ProgressEvent(done=6, total=12, unit="images", note="").line())
        on_line("train: 3 [healthy]")
        time.sleep(0.5)  # twice as long as between two pictures of the bar
    shown = screen.getvalue()
    assert variables == {PROGRESS_VARIABLE: AS_LINES}
    assert "train: 3 [healthy]\n" in shown
    assert re.search(r"build_split .*6 of 12", shown)
    assert "progress: {" not in shown


def test_elsewhere_it_has_its_output_alone() -> None:
    screen = StringIO()
    with stage_display("build_split", Console(file=screen, force_terminal=False)) as (variables, on_line):
        on_line("train: 3 [healthy]")
    assert (variables, screen.getvalue()) == ({}, "train: 3 [healthy]\n")
