"""Files that are no X-rays, or hardly frontal ones: passed over, left out, noted."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coronet_core.common.literals import Aspect, Reading
from coronet_core.common.manifest import read_manifest, read_notes, read_rows
from coronet_core.common.shards import Shards
from coronet_core.data.reading.image import decode
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError
from tasks.runtime.paths import IMAGES, MANIFEST
from tests.core.test_dicom import dicom, saved
from tests.tasks.split.raw_images import FOLDERS, RAW, file_of, splits_of_patients

pytestmark = pytest.mark.usefixtures("without_mlflow")


def test_what_is_passed_over_is_told_on_the_terminal_and_in_the_report(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (RAW / "healthy/masks").mkdir()
    shutil.copy(RAW / "healthy/P001healthy_0.png", RAW / "healthy/masks")
    (RAW / "healthy/._P001healthy_0.png").write_bytes(b"\x00\x05\x16\x07")
    (RAW / "notes.txt").write_text("who is who")
    report = build()
    assert report["passed_over"] == {
        "image_folder: hidden or companion file": 1,
        "image_folder: not an image": 1,
        "image_folder: mask beside images": 1,
    }
    assert "skipped: image_folder: mask beside images (1)\n" in capsys.readouterr().out


def test_a_mask_among_images_is_left_out_and_does_not_stop_the_build(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[20:60, 30:50] = 255
    Image.fromarray(mask).save(RAW / "healthy/P099healthy_0.png")
    report = build(max_rejected_fraction=0.0)
    assert report["rejected"] == {"mask": 1}
    assert "left out: mask (1)\n" in capsys.readouterr().out
    assert len(read_manifest(MANIFEST)) == 24


def test_a_folder_of_masks_alone_is_an_error(build: Callable[..., Any]) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[20:60, 30:50] = 255
    for path in RAW.rglob("*.png"):
        Image.fromarray(mask).save(path)
    with pytest.raises(DataError, match=r"none of 24 images is an X-ray \(the first: mask \(2 grey levels\)\)"):
        build()


def test_a_dicom_report_among_images_does_not_stop_the_build(build: Callable[..., Any]) -> None:
    report = dicom(np.zeros((8, 8), dtype=np.uint8))
    del report.PixelData
    (RAW / "healthy/1.2.826.0.1.3680043.8.498.562421193083730_").write_bytes(saved(report))
    assert build(max_rejected_fraction=0.0, sources=[FOLDERS])["rejected"] == {"not an image": 1}
    assert len(read_manifest(MANIFEST)) == 24


def add_unsuitable() -> None:
    """A picture of 16 greys and a lateral view beside the patients of `add_patients`."""
    pixels, _ = phantom.draw(1, "healthy", "few", 0, 96)
    Image.fromarray(pixels // 16 * 16).save(RAW / "healthy" / "P900few_0.png")
    lateral, _ = phantom.draw(1, "healthy", "side", 0, 96)
    (RAW / "healthy" / "P901side_0.dcm").write_bytes(saved(dicom(lateral, ViewPosition="LL", WindowWidth=0)))


def test_unsuitable_images_are_noted(build: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    add_unsuitable()
    report = build()
    assert report["reading_notes"] == {"few grey levels": 1, "window ignored (it does not apply)": 1, "lateral view": 1}
    assert report["rejected"] == {}
    assert "noted for 1 image: lateral view" in capsys.readouterr().out
    notes = read_rows(MANIFEST)["reading_notes"].dropna().tolist()
    assert sorted(notes) == ["few grey levels", "window ignored (it does not apply); lateral view"]


def test_unsuitable_images_are_left_out_where_that_is_asked_for(build: Callable[..., dict[str, Any]]) -> None:
    add_unsuitable()
    report = build(unsuitable="reject")
    assert report["rejected"] == {"few grey levels": 1, "lateral view": 1}
    assert report["images"]["train"]["healthy"] > 0
    manifest = read_manifest(MANIFEST)
    stack = Shards.in_folder(IMAGES)
    files = file_of()
    for place, image_id in enumerate(manifest["image_id"]):
        expected = decode(files[image_id].read_bytes(), 64, Aspect.STRETCH, 2).pixels
        np.testing.assert_array_equal(stack.take(np.array([place]))[0], expected)


@pytest.mark.parametrize("reading", [1, 2])
def test_unsuitable_views_of_a_table_are_left_out_by_both_rules_and_from_the_labels_alone(
    build: Callable[..., dict[str, Any]], labels_only: Callable[..., dict[str, Any]], reading: Reading
) -> None:
    files = sorted(path.relative_to(RAW).as_posix() for path in RAW.rglob("*.png"))
    views = {files[0]: "L", files[1]: "Axial"}
    rows = [f"{file},{views.get(file, 'PA')}" for file in files]
    (RAW / "labels.csv").write_text("\n".join(["file,view", *rows]) + "\n")
    asked = {"reading": reading, "unsuitable": "reject", "sources": [replace(FOLDERS, labels_csv="labels.csv")]}
    report, preview = build(**asked), labels_only(**asked)
    assert report["rejected"] == report["reading_notes"] == {"lateral view": 1, "CT slice or localizer": 1}
    for counts in ("rejected", "reading_notes", "images"):
        assert preview[counts] == report[counts]
    assert labels_only(**asked | {"unsuitable": "warn"})["rejected"] == {}


def test_the_first_rule_notes_no_grey_levels_and_keeps_the_split(build: Callable[..., dict[str, Any]]) -> None:
    add_unsuitable()
    build()
    dealt = splits_of_patients()
    report = build(reading=1)
    assert report["reading_notes"] == {"lateral view": 1}
    assert splits_of_patients() == dealt
    assert read_notes(MANIFEST)["reading"] == "1"
