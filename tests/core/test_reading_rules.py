"""The first reading rule reads as it did, and the second says what it doubts: polarity, levels, view."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from coronet_core.common.literals import Aspect
from coronet_core.common.manifest import as_table, read_rows, write_manifest
from coronet_core.data.reading.image import decode
from coronet_core.data.reading.radiograph import Note
from coronet_core.data.reading.suitability import counted_notes, note_unsuitable, reject_unsuitable
from tests.core.reading_inputs import EIGHT, TWELVE, dcm, encoded, tiff

RAMP = (np.add.outer(np.arange(90) * 2, np.arange(70)) % 251).astype(np.uint8)
DEEP = RAMP.astype(np.uint16) * 13 + 300
FIRST_RULE = {
    "png8": encoded(RAMP),
    "png16": encoded(DEEP),
    "palette": encoded(Image.fromarray(np.stack([RAMP] * 3, axis=-1)).convert("P")),
    "float": tiff(RAMP.astype(np.float32) / 7 - 3),
    "dicom8": dcm(RAMP, 8),
    "dicom12": dcm(DEEP, 12),
    "window": dcm(DEEP, 12, WindowCenter=1500, WindowWidth=900, RescaleSlope=2, RescaleIntercept=-500),
    "monochrome1": dcm(DEEP, 12, PhotometricInterpretation="MONOCHROME1"),
    "colour": dcm(np.stack([RAMP] * 3, axis=-1), 8),
    "marker": encoded(np.where(DEEP > 3500, 65535, DEEP).astype(np.uint16)),
    "white is zero": tiff(DEEP, white_is_zero=True),
    "padding": dcm(np.where(DEEP > 3000, 65535, DEEP).astype(np.uint16), 16, PixelPaddingValue=65535),
}
"""Files that the first rule reads, rightly or not."""
AS_BEFORE = {
    "png8": "e89b84f58e278f94",
    "png16": "dd6d935d29b67865",
    "palette": "3bd23d94fa7d0ffe",
    "float": "dd6d935d29b67865",
    "dicom8": "e89b84f58e278f94",
    "dicom12": "dd6d935d29b67865",
    "window": "663987c3a3df54d2",
    "monochrome1": "dd6d935d29b67865",
    "colour": "e89b84f58e278f94",
    "marker": "5ee83e0b53e420ba",
    "white is zero": "dd6d935d29b67865",
    "padding": "0a1098478a0cc021",
}
"""The first digits of the digests of their pixels, by the code of before there was a second rule (0ccd8d1)."""


@pytest.mark.parametrize("name", FIRST_RULE)
def test_the_first_rule_gives_what_it_gave(name: str) -> None:
    assert decode(FIRST_RULE[name], 64, Aspect.STRETCH, 1).pixel_sha256.startswith(AS_BEFORE[name])


NEGATIVES = {
    "png8": encoded(255 - EIGHT),
    "png16": encoded(4095 - TWELVE),
    "jpeg": encoded(255 - EIGHT, "JPEG", quality=95),
    "rgb": encoded(np.stack([255 - EIGHT] * 3, axis=-1)),
    "tiff": tiff(4095 - TWELVE),
    "dicom": dcm(4095 - TWELVE, 12),
}
WRONGLY_TAGGED = {
    "monochrome1": dcm(TWELVE, 12, PhotometricInterpretation="MONOCHROME1"),
    "presentation inverse": dcm(TWELVE, 12, PresentationLUTShape="INVERSE"),
    "white is zero": tiff(TWELVE, white_is_zero=True),
}


@pytest.mark.parametrize(
    ("content", "note"),
    [(content, Note.NEGATIVE) for content in NEGATIVES.values()]
    + [(content, Note.TAG_NEGATIVE) for content in WRONGLY_TAGGED.values()],
    ids=[*NEGATIVES, *WRONGLY_TAGGED],
)
def test_polarity_is_checked_against_the_picture(content: bytes, note: Note) -> None:
    expected, image = (decode(one, 64, Aspect.STRETCH, 2) for one in (encoded(EIGHT), content))
    assert abs(image.pixels.astype(int) - expected.pixels).mean() <= 4
    assert image.facts.notes == (note,)


@pytest.mark.parametrize("border_px", [0, 20, 40, 75])
def test_a_right_picture_in_a_white_frame_is_not_inverted(border_px: int) -> None:
    framed = ImageOps.expand(Image.fromarray(EIGHT), border_px, 255)
    image = decode(encoded(framed), 64, Aspect.STRETCH, 2)
    assert image.facts.notes == ()


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"Modality": "CT"}, Note.SLICE),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, Note.SLICE),
        ({"Modality": "MR"}, Note.MODALITY),
        ({"PatientOrientation": ["A", "F"]}, Note.LATERAL),
    ],
)
def test_a_header_that_speaks_against_a_frontal_x_ray_is_noted(tags: dict[str, object], note: Note) -> None:
    assert decode(dcm(**tags), 64, Aspect.STRETCH, 2).facts.notes == (note,)
    assert decode(dcm(**tags), 64, Aspect.STRETCH, 1).facts.notes == ()


def test_a_header_of_a_frontal_x_ray_is_not_noted() -> None:
    tags = {"Modality": "DX", "ImageType": ["DERIVED", "PRIMARY"], "PatientOrientation": ["L", "F"]}
    assert decode(dcm(**tags), 64, Aspect.STRETCH, 2).facts.notes == ()


def test_grey_levels_are_counted() -> None:
    posterised = (EIGHT // 16) * 16
    assert decode(encoded(posterised), 64, Aspect.STRETCH, 2).grey_levels == len(np.unique(posterised))


@pytest.fixture
def manifest() -> pd.DataFrame:
    columns = ("image_id", "view", "grey_levels", "reading_notes", "rejected_because")
    rows = [
        ("sound", "PA", 200, None, None),
        ("lateral", "L", 200, Note.WINDOW, None),
        ("slice", None, 200, Note.SLICE, None),
        ("axial", "Axial", 200, None, None),
        ("few", "AP", 12, None, None),
        ("damaged", "L", None, None, "empty file"),
        ("first rule", "L", None, None, None),
    ]
    return as_table([dict(zip(columns, row, strict=True)) for row in rows])


def test_what_is_hardly_a_frontal_x_ray_is_noted(manifest: pd.DataFrame) -> None:
    note_unsuitable(manifest, 32)
    notes = manifest.set_index("image_id")["reading_notes"].dropna().to_dict()
    assert notes == {
        "lateral": "window ignored (it does not apply); lateral view",
        "slice": Note.SLICE,
        "axial": Note.SLICE,
        "few": Note.FEW_LEVELS,
        "first rule": Note.LATERAL,
    }
    assert counted_notes(manifest) == {Note.LATERAL: 2, Note.SLICE: 2, Note.WINDOW: 1, Note.FEW_LEVELS: 1}
    assert manifest["rejected_because"].dropna().tolist() == ["empty file"]


def test_it_is_left_out_where_that_is_asked_for(manifest: pd.DataFrame) -> None:
    note_unsuitable(manifest, 32)
    reject_unsuitable(manifest)
    rejected = manifest.set_index("image_id")["rejected_because"].dropna().to_dict()
    assert rejected == {
        "lateral": Note.LATERAL,
        "slice": Note.SLICE,
        "axial": Note.SLICE,
        "few": Note.FEW_LEVELS,
        "damaged": "empty file",
        "first rule": Note.LATERAL,
    }


def test_a_manifest_from_before_reads_without_notes(manifest: pd.DataFrame, tmp_path: Path) -> None:
    write_manifest(manifest, tmp_path / "manifest.parquet")
    table = pq.read_table(tmp_path / "manifest.parquet").drop_columns(["grey_levels", "reading_notes"])
    pq.write_table(table, tmp_path / "manifest.parquet")
    rows = read_rows(tmp_path / "manifest.parquet")
    assert rows[["grey_levels", "reading_notes"]].isna().all(axis=None)
    note_unsuitable(rows, 32)
    assert counted_notes(rows) == {Note.LATERAL: 2, Note.SLICE: 1}  # what views say, and nothing of greys
