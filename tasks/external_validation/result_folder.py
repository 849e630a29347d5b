"""The folder of an external validation: a page, JSON and two tables; all of them or none."""

import csv
import shutil
from pathlib import Path
from typing import Final

import pandas as pd

from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from tasks.external_validation.validation import Validation
from tasks.inference.output.formats import safe_cell
from tasks.report.validation_page import render_validation
from tasks.runtime.files import publish_folder, write_json

PAGE: Final = "validation.html"
SUMMARY: Final = "validation.json"
PREDICTIONS: Final = "predictions.csv"
LEFT_OUT: Final = "left_out.csv"
FILES: Final = (PAGE, SUMMARY, PREDICTIONS, LEFT_OUT)


def require_result_folder(out: Path) -> None:
    """Require that `out` is not there, or has nothing but the files of an earlier validation."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: a file. A validation is written to a folder: give another name, or delete it.")
    for path in out.iterdir() if out.is_dir() else ():
        if path.name not in FILES:
            raise DataError(f"{out}: contains {path.name}, so it is not a folder of a validation. Give another name.")


def write_results(validation: Validation, out: Path) -> None:
    """Write the folder `out`; an earlier validation there is replaced.

    The tables name files, and files may name patients: they are for their owner alone.
    """
    partial, aside = (out.with_name(f".{out.name}.{state}") for state in ("partial", "former"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_json(partial / SUMMARY, validation.summary)
    render_validation(validation.summary, validation.curves, PREDICTIONS, partial / PAGE)
    _write_table(validation.predictions, partial / PREDICTIONS)
    _write_table(validation.left_out, partial / LEFT_OUT)
    publish_folder(partial, out, aside)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Write `table` as CSV, of which a spreadsheet computes no cell. An empty cell is a missing value."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.columns)
            for row in table.astype(object).where(table.notna(), None).to_dict("records"):
                writer.writerow([safe_cell(str(name), value) for name, value in row.items()])

    write_whole(path, write, is_private=True)
