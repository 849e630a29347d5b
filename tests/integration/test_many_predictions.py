"""Predictions of more files than fit on a terminal: through the flow, killed, and gone on with."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from coronet_core.data.sources import phantom
from flows.cli.images.predict_files import FEW_FILES
from tasks.package.package_folder import write_package
from tests.core.dicom_studies import study_file
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]
N_FILES = FEW_FILES + 8
SHARD_FILES = 12
DICOM = (5, 90)
"""Numbers of the files that are DICOM; an early and a late shard have one."""
COMMAND = ["-m", "flows", "predict", "scans", "--model", "package", "--shard-files", str(SHARD_FILES)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package and many phantoms, in no project."""
    folder = tmp_path_factory.mktemp("many")
    write_package(folder / "package", untrained_model(), CARD, some_lineage())
    (folder / "scans").mkdir()
    for number in range(N_FILES):
        pixels, _ = phantom.draw(0, "healthy", f"p{number}", 0, 96)
        if number in DICOM:
            (folder / f"scans/{number:03d}.dcm").write_bytes(study_file(pixels))
        else:
            (folder / f"scans/{number:03d}.pgm").write_bytes(b"P5 96 96 255\n" + pixels.tobytes())
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return kept | {"PREFECT_HOME": str(folder / ".prefect")}


@pytest.fixture(scope="module")
def killed(folder: Path, environment: dict[str, str]) -> dict[Path, int]:
    """The parts that a run had finished when it was killed, with the times of their last change."""
    out = folder / "found.parquet"
    command = [sys.executable, *COMMAND, "--out", out.name]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        while len(list(out.glob("part-*"))) < 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    return {path: path.stat().st_mtime_ns for path in out.glob("part-*")}


@pytest.fixture(scope="module")
def resumed(folder: Path, environment: dict[str, str], killed: dict[Path, int]) -> pd.DataFrame:
    assert killed
    command = [sys.executable, *COMMAND, "--out", "found.parquet", "--log", "log"]
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return pd.read_parquet(folder / "found.parquet")


def test_a_killed_prediction_goes_on_behind_its_last_shard(killed: dict[Path, int], resumed: pd.DataFrame) -> None:
    assert len(resumed) == N_FILES
    assert 0 < len(killed) < N_FILES / SHARD_FILES
    assert {path: path.stat().st_mtime_ns for path in killed} == killed


def test_only_what_was_answered_in_this_run_is_logged(
    folder: Path, killed: dict[Path, int], resumed: pd.DataFrame
) -> None:
    (part,) = (folder / "log").iterdir()
    assert len(part.read_text().splitlines()) == len(resumed) - SHARD_FILES * len(killed)


def test_many_files_as_csv_are_the_same_rows_have_reports_and_leave_no_parts(
    folder: Path, environment: dict[str, str], resumed: pd.DataFrame
) -> None:
    command = [sys.executable, *COMMAND, "--format", "csv", "--dicom-out", "results"]
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    rows = list(csv.DictReader(finished.stdout.splitlines()))
    assert [row["path"] for row in rows] == list(resumed["path"])
    assert [float(row["logit_covid19"]) for row in rows] == list(resumed["logit_covid19"])
    assert f"DICOM reports: {len(DICOM)}, in {folder / 'results'}" in finished.stderr
    assert f"no report: not DICOM ({N_FILES - len(DICOM)})" in finished.stderr
    assert len(list((folder / "results").glob("SR.*.dcm"))) == len(DICOM)
    assert not [path for path in (folder / ".coronet/predictions").iterdir() if path.is_dir()]
