"""Phantoms drawn as files: `coronet data phantoms`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from coronet_core.common.classes import CLASSES
from coronet_core.data.sources import image_folder
from coronet_core.support.errors import DataError
from flows.cli.command_line import app
from tasks.raw_data.phantom_folder import draw_phantoms


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_the_source_of_class_folders_reads_them_with_their_patients(tmp_path: Path) -> None:
    assert (
        CliRunner().invoke(app, ["data", "phantoms", "--to", str(tmp_path / "xray"), "--patients", "2"]).exit_code == 0
    )
    found = image_folder.records(tmp_path, "xray", "labels.csv", None).records
    assert {record.label for record in found} == set(CLASSES)
    assert len({record.patient_id for record in found}) == 2 * len(CLASSES)
    assert {record.view for record in found} == {"PA"}
    assert all(record.age is not None and record.read().startswith(b"\x89PNG") for record in found)


def test_more_patients_add_files_and_change_none(tmp_path: Path) -> None:
    n_before = draw_phantoms(tmp_path, 1)
    before = contents(tmp_path)
    n_after = draw_phantoms(tmp_path, 2)
    after = contents(tmp_path)
    assert n_before == len(before) < n_after == len(after)
    assert after.items() >= before.items()
    assert draw_phantoms(tmp_path, 1) == n_after  # none is taken away


def test_a_folder_that_a_killed_run_has_left_is_completed(tmp_path: Path) -> None:
    draw_phantoms(tmp_path, 1)
    whole = contents(tmp_path)
    next(tmp_path.rglob("*.png")).unlink()
    draw_phantoms(tmp_path, 1)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("name", ["healthy/scan.png", "labels.csv"])
def test_x_rays_stay_without_phantoms(tmp_path: Path, name: str) -> None:
    (tmp_path / "healthy").mkdir()
    (tmp_path / name).write_text("file,patient_id\nscan.png,1\n")
    with pytest.raises(DataError, match=f"no phantoms, such as {name}"):
        draw_phantoms(tmp_path, 1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(name).name]
