"""What a stage says of its progress where no bar can be drawn."""

import re

import pytest

from tasks.runtime import progress
from tasks.runtime.progress import Progress


def test_without_a_terminal_a_text_says_how_far_how_fast_and_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(progress.PROGRESS_VARIABLE, raising=False)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_TEXTS", 0.0)
    with Progress("reading images", 12, "images", done=2) as bar:
        bar.advance(4)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"reading images: 6 of 12 images, [0-9.]+ images/s, 00:00 left\n", printed.err)


def test_texts_come_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(progress.PROGRESS_VARIABLE, raising=False)
    with Progress("reading images", 100, "images") as bar:
        for _ in range(100):
            bar.advance()
    assert capsys.readouterr().err == ""


def test_a_flow_gets_lines_instead(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(progress.PROGRESS_VARIABLE, progress.AS_LINES)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_TEXTS", 0.0)
    with Progress("reading images", 12, "images") as bar:
        bar.advance(4)
    assert capsys.readouterr().err == ""
