"""`coronet predict --dicom-out`: reports beside the predictions, what is said of them, and exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.package.package_folder import write_package
from tests.conftest import PROJECT
from tests.core.dicom_studies import study_file
from tests.core.test_dicom import PIXELS
from tests.tasks.test_overlays import lineage_params
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "package"
    write_package(folder, untrained_model(), CARD, some_lineage(params=lineage_params()))
    return folder


@pytest.fixture
def coronet(package: Path, tmp_path: Path) -> Run:
    """A function that runs `coronet predict` with the package in a folder with X-rays in `scans`."""
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "Doe_Jane.dcm").write_bytes(study_file())
    (tmp_path / "scans" / "plain.pgm").write_bytes(b"P5 96 96 255\n" + PIXELS.tobytes())

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        program = (
            "import sys\n"
            "from flows.cli.command_line import app\n"
            "try:\n"
            "    app(sys.argv[1:])\n"
            "finally:\n"
            "    print('imported:', *{'highdicom', 'torch'} & set(sys.modules), file=sys.stderr)\n"
        )
        return subprocess.run(
            [sys.executable, "-c", program, "predict", "scans", "--model", str(package), *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_reports_and_maps_are_written_beside_the_predictions(coronet: Run, tmp_path: Path) -> None:
    finished = coronet("--out", "found.csv", "--dicom-out", "results", "--dicom-map", "grad_cam")
    assert finished.returncode == 0, finished.stderr
    assert f"DICOM reports: 1, maps by grad_cam: 1, in {tmp_path / 'results'}\n" in finished.stdout
    assert "no report: not DICOM (1)\n" in finished.stdout
    assert sorted(path.name[:3] for path in (tmp_path / "results").iterdir()) == ["SC.", "SR.", "ind"]
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 3


def test_neither_output_nor_predictions_name_the_patient(coronet: Run, tmp_path: Path) -> None:
    (tmp_path / "scans" / "Doe_Jane.dcm").rename(tmp_path / "scans" / "a.dcm")
    finished = coronet("--out", "found.csv", "--dicom-out", "results")
    shown = finished.stdout + finished.stderr + (tmp_path / "found.csv").read_text()
    assert "DICOM reports: 1" in shown
    for secret in ("Doe", "MRN-12345", "ACC-77"):
        assert secret not in shown
    assert b"Doe^Jane" in next((tmp_path / "results").glob("SR.*")).read_bytes()


@pytest.mark.slow
def test_a_dicom_file_that_cannot_have_a_report_is_a_failure(coronet: Run, tmp_path: Path) -> None:
    (tmp_path / "scans" / "homeless.dcm").write_bytes(study_file(StudyInstanceUID=None))
    finished = coronet("--dicom-out", "results")
    assert finished.returncode == 3
    assert "Doe_Jane.dcm" in finished.stdout
    assert "files: 3, " in finished.stderr  # each has its prediction
    assert "no prediction" not in finished.stdout
    assert "failed: no report: StudyInstanceUID missing or malformed, so nothing says" in finished.stderr
    assert "Export the image with the identifiers of its study. (1)\n" in finished.stderr


@pytest.mark.slow
def test_without_the_option_nothing_of_it_is_loaded(coronet: Run) -> None:
    assert coronet().stderr.splitlines()[-1] == "imported: torch"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dicom-map", "grad_cam"], "--dicom-map grad_cam: needs --dicom-out FOLDER"),
        (["--dicom-out", "scans"], "scans: contains"),
        (["--dicom-out", "scans/new"], "would read the maps as X-rays"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_heavy_is_imported(
    coronet: Run, arguments: list[str], said: str
) -> None:
    finished = coronet(*arguments)
    assert finished.returncode == 1
    assert said in finished.stderr
    assert finished.stderr.splitlines()[-1] == "imported:"
