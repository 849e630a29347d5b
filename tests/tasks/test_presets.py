"""Presets: what they change over a base, and what comes of files that extend others."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.presets import PRESETS, ParamsFile, find_file, merged, read_files, whole_file
from tests.conftest import PROJECT

BASE = PRESETS / "base.yaml"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def presets() -> list[Path]:
    return [path.relative_to(PROJECT) for path in sorted((PROJECT / PRESETS).glob("*.yaml")) if path.name != BASE.name]


def values_of(path: Path) -> Any:
    return merged(read_files(path))


def written(folder: Path, **files: str) -> Path:
    """Write files into `folder`; returns the first."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def leaves(values: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key)


def without(values: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    left = section = deepcopy(values)
    for key in place[:-1]:
        section = section[key]
    del section[place[-1]]
    return left


@pytest.mark.parametrize("preset", presets(), ids=lambda path: path.stem)
def test_a_preset_repeats_nothing_of_its_base(preset: Path) -> None:
    own, *bases = read_files(preset)
    repeated = [
        ".".join(place)
        for place in leaves(own.values)
        if merged([ParamsFile(preset, without(own.values, place)), *bases]) == merged([own, *bases])
    ]
    assert bases
    assert repeated == []


@pytest.mark.parametrize("preset", presets(), ids=lambda path: path.stem)
def test_a_whole_preset_has_the_same_values_and_says_what_keys_mean(preset: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.yaml"
    whole.write_bytes(whole_file(preset))
    assert "extends" not in YAML(typ="safe").load(whole)
    assert read_params(whole) == read_params(preset)
    assert "# fraction of prediction sets that may miss the true class" in whole.read_text()
    assert whole.read_text().splitlines()[0] == preset.read_text().splitlines()[0]


def test_the_live_params_are_the_demo() -> None:
    assert Path("params.yaml").read_bytes() == whole_file(PRESETS / "demo.yaml"), (
        "`coronet params show demo` prints what is to be in params.yaml"
    )


def test_the_base_shows_every_key_and_is_no_preset() -> None:
    shown = set(leaves(values_of(BASE)))
    for preset in presets():
        assert {place for place in leaves(values_of(preset)) if place[:2] != ("data", "split")} <= shown
    with pytest.raises(ParamsError, match=r"data.sources = \[\]: "):
        read_params(BASE)


def test_sections_are_merged_and_all_else_is_replaced(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        mine="extends: its_base\nsection: {b: 3, d: null}\nlist: [4]\n",
        its_base="section: {a: 1, b: 2, d: 5}\nlist: [1, 2]\nother: x\n",
    )
    assert values_of(path) == {"section": {"a": 1, "b": 3, "d": None}, "list": [4], "other": "x"}


def test_a_section_by_another_rule_is_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, mine="extends: paper\ndata: {split: {by: published_list, leaks: repair}}\n")
    assert values_of(path)["data"]["split"] == {"by": "published_list", "leaks": "repair"}
    path = written(tmp_path, mine="extends: paper\ndata: {split: {leaks: repair}}\n")
    assert values_of(path)["data"]["split"] == values_of(Path("params/paper.yaml"))["data"]["split"] | {
        "leaks": "repair"
    }


def test_a_value_that_is_shared_by_an_anchor_is_changed_in_one_place(tmp_path: Path) -> None:
    path = written(tmp_path, mine="extends: its_base\nb: {x: 2}\n", its_base="a: &a {x: 1}\nb: *a\n")
    assert values_of(path) == {"a": {"x": 1}, "b": {"x": 2}}
    assert YAML(typ="safe").load(whole_file(path).decode()) == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize("base", ["paper", "../elsewhere/theirs.yaml", "beside", "params/paper.yaml"])
def test_a_base_is_a_preset_or_a_path(tmp_path: Path, base: str) -> None:
    for folder in ("own", "elsewhere"):
        (tmp_path / folder).mkdir()
    written(tmp_path / "elsewhere", theirs="extends: paper\n")
    path = written(tmp_path / "own", mine=f"extends: {base}\nseed: 7\n", beside="extends: paper\n")
    if base.startswith("params"):  # from the file's folder, not from the current one
        with pytest.raises(ParamsError, match="no such preset or file"):
            read_params(path)
    else:
        assert read_params(path).seed == 7


def test_a_file_beside_comes_before_a_preset_of_that_name(tmp_path: Path) -> None:
    assert find_file("paper") == PRESETS / "paper.yaml"
    theirs = written(tmp_path, paper="extends: demo\n")
    assert find_file("paper", tmp_path) == theirs


def test_a_whole_file_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, mine="b:   1 # mine\r\na: {}\n")
    assert whole_file(path) == path.read_bytes()


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            {"mine": "extends: papr\n"},
            "mine.yaml: extends = papr: no such preset or file. Presets: base, covidx_2020-03",
        ),
        ({"mine": "extends: 3\n"}, "mine.yaml: extends = 3: allowed: the name of a preset, or the path of a file"),
        ({"mine": "extends: mine\n"}, "mine.yaml extends mine.yaml: a cycle."),
        (
            {"mine": "extends: one\n", "one": "extends: two\n", "two": "extends: one\n"},
            "one.yaml extends two.yaml extends one.yaml: a cycle.",
        ),
        ({"mine": "extends: empty\n", "empty": ""}, "empty.yaml: has no keys, so mine.yaml cannot extend it."),
        ({"mine": "extends: bad\n", "bad": "a: ["}, "bad.yaml: not valid YAML"),
        (
            {"mine": "extends: paper\ncin: {epohcs: 3}\n"},
            "mine.yaml: cin.epohcs = 3: unknown key. Did you mean epochs?",
        ),
        (
            {"mine": "extends: one\n", "one": "extends: paper\nsead: 3\n"},
            "mine.yaml, from one.yaml: sead = 3: unknown key",
        ),
        ({"mine": "extends: base\n"}, "mine.yaml, from params/base.yaml: data.sources = []: "),
        ({"mine": "extends: paper\ncin: null\n"}, "mine.yaml: cin = null: "),
    ],
)
def test_a_fault_names_the_file_and_what_is_wrong(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    path = written(tmp_path, **files)
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert fault in str(caught.value).replace(f"{tmp_path}/", "")
    assert len(str(caught.value).splitlines()) == 1


def test_a_misspelt_extends_is_seen(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r'mine.yaml: extend = "paper": unknown key. Did you mean extends?'):
        read_params(written(tmp_path, mine="extend: paper\n"))
