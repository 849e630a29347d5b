"""The commands `coronet params ...`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli.command_line import app
from tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def params(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["params", *arguments])


def test_show_prints_the_whole_of_a_preset() -> None:
    shown = params("show", "demo")
    assert shown.exit_code == 0
    assert shown.stdout == Path("params.yaml").read_text()


@pytest.mark.parametrize("name", ["params/reference.yaml", "reference"])
def test_a_preset_is_named_or_given_as_a_path(name: str) -> None:
    assert "latent: coarsest " in params("show", name).stdout


def test_show_prints_the_live_parameters_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seed: 7  # mine\n")
    assert params("show").stdout == "seed: 7  # mine\n"


def test_diff_prints_aligned_columns() -> None:
    found = params("diff", "covidx_2020-03-28", "paper")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["key", "covidx_2020-03-28", "paper"]
    starts = {lines[0].index("paper")}
    starts |= {line.rindex(value) for line in lines for value in ("box", "keep", "100") if line.endswith(f"  {value}")}
    assert len(starts) == 1
    assert "data.sources.1.counted_by" in found.stdout


def test_diff_compares_with_the_live_parameters_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seed: 7\n")
    Path("mine.yaml").write_text("extends: params\nseed: 8\n")
    assert [line.split() for line in params("diff", "mine").stdout.splitlines()] == [
        ["key", "mine", "params.yaml"],
        ["seed", "8", "7"],
    ]


def test_diff_says_that_values_are_the_same() -> None:
    found = params("diff", "demo")
    assert (found.exit_code, found.stdout) == (0, "demo and params.yaml have the same values.\n")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("show", "papr"), "papr: no such preset or file. Presets: base, covidx_2020-03-28, "),
        (("diff", "papr"), "papr: no such preset or file."),
        (("diff", "paper", "README.md"), "README.md: not valid YAML"),
        (("show", "{folder}/circle.yaml"), "a circle"),
        (("diff", "{folder}/orphan.yaml"), "extends = gone: no such preset or file."),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], fault: str) -> None:
    (tmp_path / "circle.yaml").write_text("extends: circle\n")
    (tmp_path / "orphan.yaml").write_text("extends: gone\n")
    found = params(*(argument.format(folder=tmp_path) for argument in arguments))
    assert found.exit_code == 1
    assert found.stdout == ""
    (line,) = found.stderr.splitlines()
    assert line.startswith("error: ")
    assert fault in line
