"""The promotion log: no line is lost, and the way back is read from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.promotion.promotion_log import LOG, Event, Line, append, former_champions, lines_of
from tasks.runtime.tracking.mlflow_delivery import MAX_TAG_LENGTH

WRITER = """
import sys
from tasks.promotion.promotion_log import Line, append
for number in range(50):
    append(Line(event="refused", version=number, before=1, after=1, reasons=["x" * 5000], by=sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line(event: Event, version: int, before: int | None = None, after: int | None = None) -> Line:
    return Line(event=event, version=version, before=before, after=after, reasons=["why"])


def promoted(version: int, before: int | None) -> Line:
    return line("promoted", version, before, version)


def rolled_back(version: int, after: int) -> Line:
    return line("rolled back", version, version, after)


def test_writers_side_by_side_lose_no_line(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, f"writer {n}"], cwd=tmp_path) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    lines = [Line.of_json(text) for text in LOG.read_text().splitlines()]
    written = sorted((one.by, one.version) for one in lines)
    assert written == [(f"writer {n}", number) for n in range(4) for number in range(50)]


def test_a_line_of_a_killed_writer_does_not_spoil_the_next_one() -> None:
    append(promoted(1, None))
    with LOG.open("a") as file:
        file.write('{"event": "prom')
    append(promoted(2, 1))
    first, half, second = LOG.read_text().splitlines()
    assert (json.loads(first)["version"], half, json.loads(second)["version"]) == (1, '{"event": "prom', 2)


def test_a_line_comes_back_from_its_tag_in_the_order_of_time() -> None:
    first, second = promoted(1, None), rolled_back(2, 1)
    tags_of_versions = [second.as_tag() | {"promotion.decision": "refused"}, first.as_tag()]
    assert lines_of(tags_of_versions) == [first, second]


def test_a_tag_that_somebody_has_spoilt_does_not_close_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    good = promoted(1, None)
    assert lines_of([good.as_tag(), {"promotion.log.2020": "{", "promotion.log.2021": '{"a": 1}'}]) == [good]
    assert capsys.readouterr().out.count("not a line of the promotion log") == 2


def test_a_version_in_a_tag_that_is_no_number_is_passed_over_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    spoilt = promoted(1, None).as_json().replace('"after": 1', '"after": [1]')
    assert lines_of([{"promotion.log.2020": spoilt}]) == []
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("text", ["x", "ü", '"', "\n"])
def test_a_line_of_any_length_fits_into_a_tag_and_is_whole_in_the_file(text: str) -> None:
    long = Line(event="refused", version=1, before=None, after=None, reasons=[text * 900] * 12, figures={"a": 0.5})
    (tag,) = long.as_tag().values()
    assert len(tag) <= MAX_TAG_LENGTH
    (back,) = lines_of([long.as_tag()])
    assert (back.version, back.figures) == (1, {})
    assert all(
        whole.startswith(part) and len(part) > 100 for whole, part in zip(long.reasons, back.reasons, strict=True)
    )
    append(long)
    assert Line.of_json(LOG.read_text(encoding="utf-8")) == long


def test_two_lines_of_one_moment_have_tags_of_their_own() -> None:
    same = promoted(1, None)
    assert same.as_tag().keys() != same.as_tag().keys()


@pytest.mark.parametrize(
    ("lines", "champion", "former"),
    [
        ([], 1, []),
        ([promoted(1, None)], 1, []),
        ([promoted(1, None), promoted(2, 1), promoted(4, 2)], 4, [1, 2]),
        ([promoted(1, None), line("refused", 2, 1, 1), line("overtaken", 3, 1, 1)], 1, []),
        ([promoted(1, None), promoted(2, 1), rolled_back(2, 1)], 1, []),
        ([promoted(1, None), promoted(2, 1), rolled_back(2, 1), promoted(3, 1)], 3, [1]),
        ([promoted(1, None), promoted(2, 1), promoted(3, 2), rolled_back(3, 2)], 2, [1]),
        ([promoted(1, None), promoted(2, 1), promoted(1, 2)], 1, [1, 2]),
        ([promoted(1, None), promoted(2, 1)], 7, [1, 2]),  # set by hand, past the log
        ([promoted(1, None), promoted(2, 1), rolled_back(7, 2)], 2, [1]),
        ([promoted(1, None), promoted(2, 1), promoted(3, 2)], 2, [1]),  # set back by hand
        ([promoted(1, None), promoted(2, 1), promoted(3, 1)], 3, [1]),  # the line of 2's rollback was lost
        ([promoted(1, None), promoted(3, 2)], 3, [1, 2]),  # the line of 2's promotion was lost
        ([promoted(3, 2)], 3, [2]),
    ],
)
def test_the_champions_before_are_those_that_led_to_this_one(
    lines: list[Line], champion: int, former: list[int]
) -> None:
    assert former_champions(lines, champion) == former
