"""The folder of DICOM results: what is written for which file, for whom, and what is not written again."""

import csv
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pydicom
import pytest
import torch
from highdicom.sr import srread

from coronet_core.support.errors import DataError
from tasks.inference.attribution import MapSettings
from tasks.inference.dicom_report.report_file_names import require_report_folder
from tasks.inference.dicom_report.report_writer import MapMaker, ReportFolder, Written
from tasks.inference.input.storage import find_files, read_files
from tasks.inference.predictor import predict_files
from tasks.package.trained_model import TrainedModel
from tests.core.dicom_studies import IDENTIFYING, study_file
from tests.core.test_dicom import PIXELS
from tests.tasks.damage import DAMAGES, spoil
from tests.tasks.finished_run import small_params
from tests.tasks.trained_model import untrained_model


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    torch.manual_seed(0)
    return untrained_model()


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two X-rays of a study, one of none, a picture that is not DICOM, several frames, and no image at all."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "Doe_Jane_1.dcm").write_bytes(study_file())
    (folder / "Doe_Jane_2.dcm").write_bytes(study_file(PIXELS[:, ::-1], SOPInstanceUID="1.2.826.0.1.4"))
    (folder / "homeless.dcm").write_bytes(study_file(StudyInstanceUID=None))
    (folder / "film.dcm").write_bytes(study_file(np.stack([PIXELS[..., 0]] * 2), NumberOfFrames=2))
    (folder / "plain.pgm").write_bytes(b"P5 96 96 255\n" + PIXELS.tobytes())
    (folder / "bad.png").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module")
def table(model: TrainedModel, scans: Path) -> pa.Table:
    """The predictions of all scans."""
    return predict_files(read_files(find_files([str(scans)])[0]), model, torch.device("cpu"))


def write(model: TrainedModel, scans: Path, table: pa.Table, out: Path) -> Written:
    maps = MapMaker(
        model=model,
        method="grad_cam",
        settings=MapSettings(params=small_params().explain, seed=1),
        device=torch.device("cpu"),
    )
    files, _ = find_files([str(scans)])
    folder = ReportFolder(folder=out, model_digest=model.digest, maps=maps)
    return folder.write(files, [table.slice(0, 2), table.slice(2)])


@dataclass(frozen=True)
class Finished:
    out: Path
    written: Written


@pytest.fixture(scope="module")
def finished(model: TrainedModel, scans: Path, table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The results of all scans, maps included, for tests that change nothing."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return Finished(out, write(model, scans, table, out))


def index(out: Path) -> dict[str, dict[str, str]]:
    rows = csv.DictReader(io.StringIO((out / "index.csv").read_text()))
    return {Path(row["path"]).name: row for row in rows}


def test_each_dicom_image_has_a_report_and_the_others_a_reason(finished: Finished) -> None:
    written = finished.written
    assert (written.reports, written.maps, written.not_dicom) == (2, 2, 1)
    ((reason, n),) = written.refused.items()
    assert n == 1
    assert reason.startswith("no report: StudyInstanceUID missing")
    errors = {name: row["error"] for name, row in index(finished.out).items()}
    assert errors["Doe_Jane_1.dcm"] == errors["Doe_Jane_2.dcm"] == ""
    assert errors["plain.pgm"] == "not DICOM"
    assert errors["bad.png"] == "not an image"
    assert errors["film.dcm"] == "multi-frame (2 frames)"
    assert errors["homeless.dcm"] == reason
    assert len(list(finished.out.iterdir())) == 5


def test_a_report_says_what_is_predicted_of_its_image(finished: Finished, table: pa.Table) -> None:
    rows = {Path(row["path"]).name: row for row in table.to_pylist()}
    for name in ("Doe_Jane_1.dcm", "Doe_Jane_2.dcm"):
        report = srread(finished.out / index(finished.out)[name]["report"])
        (group,) = report.content.get_image_measurement_groups()
        figures = {one.name.value: one.value for one in group.get_measurements()}
        assert figures["PROB-COVID19"] == rows[name]["calibrated_covid19"]
        assert report.PatientName == IDENTIFYING["PatientName"]


def test_each_image_has_its_map(finished: Finished) -> None:
    captures = [pydicom.dcmread(finished.out / row["map"]) for row in index(finished.out).values() if row["map"]]
    assert {capture.SourceImageSequence[0].ReferencedSOPInstanceUID for capture in captures} == {
        "1.2.826.0.1.3",
        "1.2.826.0.1.4",
    }
    assert len({capture.SeriesInstanceUID for capture in captures}) == 1
    pixels = [capture.pixel_array.astype(int) for capture in captures]
    assert all(np.ptp(one[:1024], axis=-1).max() > 50 for one in pixels)  # coloured: an image with a map
    assert (pixels[0] != pixels[1]).any()


def test_names_of_files_have_nothing_of_a_patient_and_only_their_owner_reads_them(finished: Finished) -> None:
    assert finished.out.stat().st_mode & 0o777 == 0o700
    for path in finished.out.iterdir():
        assert "Doe" not in path.name
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_repeated_run_writes_nothing_again(
    finished: Finished, model: TrainedModel, scans: Path, table: pa.Table
) -> None:
    contents = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in finished.out.glob("*.dcm")}
    assert write(model, scans, table, finished.out) == finished.written
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in finished.out.glob("*.dcm")} == contents


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_written_again(
    finished: Finished, model: TrainedModel, scans: Path, table: pa.Table, tmp_path: Path, damage: str
) -> None:
    out = Path(shutil.copytree(finished.out, tmp_path / "out"))
    names = [index(out)["Doe_Jane_1.dcm"][kind] for kind in ("report", "map")]
    for name in names:
        spoil(out / name, DAMAGES[damage])
    write(model, scans, table, out)
    for name in names:
        assert without_times(out / name) == without_times(finished.out / name)


def without_times(path: Path) -> pydicom.Dataset:
    """An object without what says when it was made."""
    found = pydicom.dcmread(path)
    for keyword in [element.keyword for element in found if element.VR in ("DA", "TM")]:
        del found[keyword]
    del found.ContributingEquipmentSequence, found.DataSetTrailingPadding
    return found


def test_another_object_under_the_name_of_a_result_is_not_taken_for_it(
    finished: Finished, model: TrainedModel, scans: Path, table: pa.Table, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(finished.out, tmp_path / "out"))
    first, second = (out / index(out)[name]["report"] for name in ("Doe_Jane_1.dcm", "Doe_Jane_2.dcm"))
    first.write_bytes(second.read_bytes())
    write(model, scans, table, out)
    assert without_times(first) == without_times(finished.out / first.name)


def test_a_file_that_has_changed_since_has_no_report(model: TrainedModel, tmp_path: Path) -> None:
    changed, gone = tmp_path / "changed.dcm", tmp_path / "gone.dcm"
    for path in (changed, gone):
        path.write_bytes(study_file())
    files, _ = find_files([str(changed), str(gone)])
    table = predict_files(read_files(files), model, torch.device("cpu"))
    changed.write_bytes(study_file(PatientName="Roe^Richard"))
    gone.unlink()
    written = ReportFolder(folder=tmp_path / "out", model_digest=model.digest, maps=None).write(files, [table])
    assert written.reports == 0
    assert sorted(reason[:27] for reason in written.refused) == [
        "cannot be opened (No such f",
        "no report: the file has cha",
    ]


def require(folder: Path, *inputs: Any) -> None:
    require_report_folder(folder, [str(path) for path in inputs])


@pytest.mark.parametrize("pattern", ["**/*.dcm", "*", "re*/*", "**", "results/SC*", "*/*"])
def test_a_folder_that_a_pattern_would_search_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (pattern, str(tmp_path / pattern)):
        with pytest.raises(DataError, match="the next run would read the maps as X-rays"):
            require(Path("results"), given)
    require(Path("results"), "*.dcm", "scans/*", "scans/**/*.dcm", str(tmp_path / "other" / "**"))


def test_results_of_former_runs_may_be_in_the_folder(finished: Finished, scans: Path, tmp_path: Path) -> None:
    require(tmp_path / "new", scans)
    require(finished.out, scans)


@pytest.mark.parametrize("name", ["IM0001.dcm", "SR.1.2.3.dcm", "notes.txt", "SR.2.25.7.dcm.bak"])
def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=f"contains {name}, so it is not a folder of DICOM results"):
        require(tmp_path)


def test_a_folder_that_is_searched_for_images_gets_no_maps(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for inside in (tmp_path / "scans", tmp_path / "scans" / "new" / "deep"):
        with pytest.raises(DataError, match="would read the maps as X-rays"):
            require(inside, tmp_path / "scans")
    require(tmp_path / "scans2", tmp_path / "scans")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match=r"out: a file\. DICOM results are written to a folder"):
        require(tmp_path / "out")
