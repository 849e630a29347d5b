"""Asking whether a version becomes the champion: only a yes is a yes."""

import os
import pty
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flows.monitoring.approval import Answer, ask, ask_on_terminal, asking, say_yes
from tasks.promotion.gate import Decision, Ruling
from tasks.promotion.promote_version import Judgement
from tasks.registry.versions import Version

VERSION = Version(number=3, digest="d", aliases=(), tags={}, run_id=None, created=datetime.now(UTC))
RULING = Ruling(rule="calibration", passed=True, reason="Calibrated probabilities are 0.010 off (ECE).")
JUDGEMENT = Judgement(version=VERSION, champion=None, decision=Decision(rulings=(RULING,), figures={}))


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; what is written to this descriptor is typed."""
    typed, terminal = pty.openpty()
    with os.fdopen(terminal) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield typed
    os.close(typed)


@pytest.mark.parametrize(
    ("typed", "is_yes"), [("y", True), ("yes", True), ("YES", True), ("n", False), ("", False), ("yess", False)]
)
def test_only_yes_is_yes(keyboard: int, capsys: pytest.CaptureFixture[str], typed: str, *, is_yes: bool) -> None:
    os.write(keyboard, f"{typed}\n".encode())
    assert ask_on_terminal(JUDGEMENT, 1).is_yes == is_yes
    shown = capsys.readouterr().out
    assert "Calibrated probabilities are 0.010 off (ECE)." in shown
    assert "Make version 3 the champion? [y/N]" in shown


@pytest.mark.usefixtures("keyboard")
def test_no_answer_in_time_is_a_no() -> None:
    answer = ask_on_terminal(JUDGEMENT, 0.2 / 3600)
    assert (answer.is_yes, answer.comment[:15]) == (False, "no reply within")


@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_is_a_no_whatever_it_does_otherwise() -> None:
    def press() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=press).start()
        answer = ask_on_terminal(JUDGEMENT, 1)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)
    assert (answer.is_yes, answer.comment) == (False, "interrupted")


def test_without_a_terminal_nobody_can_be_asked() -> None:
    answer = ask_on_terminal(JUDGEMENT, 1)
    assert (answer.is_yes, answer.comment) == (False, "there is no terminal to ask on; `--yes` approves without asking")


def test_an_answer_can_be_given_before() -> None:
    with asking(say_yes):
        assert ask(JUDGEMENT, 1).is_yes


def test_the_way_of_asking_is_the_last_that_was_set() -> None:
    with asking(say_yes), asking(lambda *_: Answer(is_yes=False, by="me", comment="not today")):
        assert ask(JUDGEMENT, 1).comment == "not today"
