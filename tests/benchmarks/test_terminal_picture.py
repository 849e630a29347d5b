"""The pictures of a terminal: taken once both autoencoders are on their way, light and dark, complete in themselves."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from benchmarks.terminal_picture import AT_WORK, SHARE, THEMES, Photographer, TakenError
from tasks.runtime.progress import ProgressEvent


def event(share: float) -> ProgressEvent:
    return ProgressEvent(done=round(1000 * share), total=1000, unit="images", note="epoch 2 of 5")


def test_both_pictures_are_taken_when_both_bars_are_far_enough(tmp_path: Path) -> None:
    console = Console(record=True, width=140, file=io.StringIO())
    photographer = Photographer(console, tmp_path)
    photographer.show(AT_WORK[0], event(SHARE))
    photographer.show(AT_WORK[1], event(SHARE / 2))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TakenError):
        photographer.show(AT_WORK[1], event(SHARE))
    pictures = {path.stem.removeprefix("terminal-"): path.read_text() for path in tmp_path.iterdir()}
    assert set(pictures) == set(THEMES)
    for picture in pictures.values():
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  # our own
        for text in (*AT_WORK, "150", "images/s", "epoch"):
            assert text in picture
        assert re.findall(r"url\(.?https?://", picture) == []
    assert len(set(pictures.values())) == len(THEMES)
