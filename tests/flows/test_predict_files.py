"""What `coronet predict` gives for few files: formats, exit codes, and what it leaves behind."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError, ParamsError
from flows.cli.images import predict_files as command
from flows.cli.images.predict_files import PredictionOrder, predict
from tasks.inference.output.resumable_dataset import read_summary
from tasks.inference.prediction_options import Format
from tasks.package.package_folder import write_package
from tasks.package.prediction_schema import SCHEMA
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

Order = Callable[..., PredictionOrder]
FORMULA = "=HYPERLINK(1).pgm"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package, and a folder `scans` of two phantoms and a file that is none."""
    folder = tmp_path_factory.mktemp("predict")
    write_package(folder / "package", untrained_model(), CARD, some_lineage())
    (folder / "scans").mkdir()
    for name in ("scans/a.pgm", "scans/b.pgm", FORMULA):
        pixels, _ = phantom.draw(0, "healthy", name, 0, 96)
        (folder / name).write_bytes(b"P5 96 96 255\n" + pixels.tobytes())
    (folder / "scans/bad.png").write_bytes(b"not an image")
    return folder


@pytest.fixture
def order(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Order:
    """A function that makes an order, in an empty folder that sees the package and the files."""
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)

    def make(
        *paths: str, form: Format | None = None, out: str | None = None, log: str | None = None
    ) -> PredictionOrder:
        return PredictionOrder(
            paths=list(paths),
            model="package",
            form=form,
            out=None if out is None else Path(out),
            log=None if log is None else Path(log),
            shard_files=64,
            ray=None,
        )

    return make


@pytest.mark.parametrize(
    ("paths", "code"), [(["scans/a.pgm"], 0), (["scans"], 3), (["scans/bad.png"], 1), (["scans/*.p*", "scans"], 3)]
)
def test_the_exit_code_says_whether_all_some_or_no_files_have_an_answer(
    order: Order, paths: list[str], code: int
) -> None:
    assert predict(order(*paths)) == code


def test_few_files_are_a_table_to_read_and_leave_nothing_behind(
    order: Order, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    predict(order("scans"))
    printed = capsys.readouterr()
    assert "scans/bad.png" in printed.out
    assert "no prediction: not an image" in printed.out
    assert "Research software, not a medical device." in printed.out
    assert "files: 3, " in printed.err
    assert sorted(tmp_path.iterdir()) == before


def test_three_abstentions_are_three_predictions_for_a_human_reader(
    order: Order, capsys: pytest.CaptureFixture[str]
) -> None:
    model = untrained_model()
    unsure = replace(model, calibration=replace(model.calibration, conformal_quantile=1.0))
    write_package(Path("unsure"), unsure, CARD, some_lineage())
    predict(replace(order("scans/a.pgm", "scans/b.pgm", FORMULA), model="unsure"))
    assert "files: 3, predicted: 3 (need a human reader: 3, " in capsys.readouterr().err


def test_names_cannot_move_the_terminal_s_cursor(order: Order, capsys: pytest.CaptureFixture[str]) -> None:
    Path("\x1b[2Jevil\n.png").write_bytes(b"x")
    predict(order("\x1b[2Jevil\n.png"))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[2Jevil\\n.png" in printed


def test_csv_has_a_header_and_a_row_a_file(order: Order, capsys: pytest.CaptureFixture[str]) -> None:
    predict(order("scans", form=Format.CSV))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == SCHEMA.names
    assert {row["path"]: row["error"] for row in rows}["scans/bad.png"] == "not an image"
    assert {row["abstained"] for row in rows} <= {"true", "false", ""}


def test_a_path_in_csv_is_no_formula_of_a_spreadsheet(order: Order, capsys: pytest.CaptureFixture[str]) -> None:
    predict(order(FORMULA, form=Format.CSV))
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["path"] == f"./{FORMULA}"
    assert Path(row["path"]).is_file()


def test_json_lines_hold_what_parquet_does(order: Order) -> None:
    predict(order("scans", out="found.jsonl"))
    predict(order("scans", out="found.parquet"))
    lines = [json.loads(line) for line in Path("found.jsonl").read_text().splitlines()]
    table = pd.read_parquet("found.parquet")
    assert [line["path"] for line in lines] == list(table["path"])
    assert lines[0]["logit_covid19"] == pytest.approx(table["logit_covid19"][0])
    assert lines[0]["prediction_set"] == list(table["prediction_set"][0])


def test_a_name_that_is_no_unicode_is_a_row_all_the_same(order: Order) -> None:
    Path("odd").mkdir()
    with open(b"odd/\xff.png", "wb") as file:  # noqa: PTH123  # bytes
        file.write(b"x")
    predict(order("odd", out="found.jsonl"))
    assert json.loads(Path("found.jsonl").read_text())["path"] == "odd/\\xff.png"


def test_answers_are_logged_where_that_is_asked_for(order: Order) -> None:
    predict(order("scans", out="found.csv", log="log"))
    (part,) = Path("log").iterdir()
    assert len(part.read_text().splitlines()) == 2


def test_out_needs_a_name_that_says_a_format(order: Order) -> None:
    with pytest.raises(DataError, match=r"Use a name that ends in \.csv, \.jsonl or \.parquet"):
        predict(order("scans", out="found"))


def test_a_table_is_for_few_files_on_a_terminal(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParamsError, match="--format table: for a terminal"):
        predict(order("scans", form=Format.TABLE, out="x"))
    monkeypatch.setattr(command, "FEW_FILES", 2)
    with pytest.raises(ParamsError, match=r"at most 2 files \(3 here\)"):
        predict(order("scans", form=Format.TABLE))


def test_few_files_need_neither_prefect_nor_mlflow_nor_boto3(order: Order, tmp_path: Path) -> None:
    assert order("scans").paths
    program = (
        "import sys\n"
        "from flows.cli.command_line import app\n"
        "try:\n"
        "    app(['predict', 'scans', '--model', 'package', '--out', 'found.csv'])\n"
        "except SystemExit as end:\n"
        "    print(end.code, *{'prefect', 'mlflow', 'boto3', 'dvc', 'highdicom'} & set(sys.modules), file=sys.stderr)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stderr.splitlines()[-1] == "3"


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(order: Order, tmp_path: Path) -> None:
    assert order("scans").paths
    program = (
        f"{sys.executable} -m flows predict scans --model package --format jsonl | head -c 1; exit ${{PIPESTATUS[0]}}"
    )
    finished = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 3
    assert "Error" not in finished.stderr


def test_what_is_passed_over_is_said_beside_the_answers(order: Order, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more").mkdir()
    for name in ("a.pgm", "b.pgm"):
        Path("more", name).write_bytes(Path("scans", name).read_bytes())
    for name in ("more/notes.txt", "more/._a.pgm"):
        Path(name).write_bytes(b"text")
    predict(order("more", out="found.parquet"))
    assert "skipped: hidden or companion file (1), not an image (1)\n" in capsys.readouterr().out
    assert read_summary(Path("found.parquet"))["passed_over"] == {"hidden or companion file": 1, "not an image": 1}
