"""The map over its image as a DICOM image of the same study, and the picture in it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from coronet_core.data.reading.image import preview
from coronet_core.data.sources import phantom
from tasks.inference.dicom_report.map_picture import BAND_PX, LEAST_WIDTH_PX, LONGEST_PX, ExplainedMap, map_picture
from tasks.inference.dicom_report.secondary_capture import capture_uid, secondary_capture
from tasks.inference.dicom_report.source_study import source_of
from tests.core.dicom_studies import IDENTIFYING, STUDY, study_file
from tests.tasks.dicom_tools import dumped, faults

FILE, MODEL = "f" * 64, "d" * 64
WHOLE = (0.0, 0.0, 1.0, 1.0)


def explained(values: np.ndarray | None = None, **changes: Any) -> ExplainedMap:
    corner = np.zeros((64, 64), dtype=np.float32)
    corner[:16, :16] = 0.5
    fields = {"values": corner, "label": "covid19", "probability": 0.25, "method": "grad_cam", "area": WHOLE}
    return ExplainedMap(**(fields | changes | ({} if values is None else {"values": values})))


def grey(width_px: int = 96, height_px: int = 96) -> bytes:
    """A preview of an X-ray of this size."""
    pixels, *_ = phantom.draw(1, "healthy", "p", 0, 96)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width_px, height_px)).save(buffer, "PNG")
    return buffer.getvalue()


def captured(content: bytes | None = None, **changes: Any) -> pydicom.FileDataset:
    one = explained(**changes)
    made = secondary_capture(source_of(content or study_file()), map_picture(grey(), one), one, FILE, MODEL, "settings")
    return pydicom.dcmread(io.BytesIO(made))


def saturation(picture: np.ndarray) -> np.ndarray:
    """How coloured each pixel is, (H, W)."""
    return np.ptp(picture.astype(int), axis=-1)


def test_the_map_lies_where_the_evidence_is_and_nowhere_else() -> None:
    picture = saturation(map_picture(grey(), explained())[:LONGEST_PX])
    quarter = LONGEST_PX // 4
    assert picture[: quarter - 16, : quarter - 16].mean() > 50
    assert picture[quarter + 16 :].max() == picture[:, quarter + 16 :].max() == 0


def test_a_cropped_image_has_no_map_where_the_networks_saw_nothing() -> None:
    everywhere = np.ones((64, 64), dtype=np.float32)
    picture = map_picture(grey(192, 96), explained(everywhere, area=(0.25, 0.0, 0.75, 1.0)))[: LONGEST_PX // 2]
    coloured = saturation(picture).mean(axis=0) > 10
    assert picture.shape[:2] == (LONGEST_PX // 2, LONGEST_PX)
    assert (coloured[260:764]).all()
    assert not coloured[:252].any()
    assert not coloured[772:].any()


def test_a_padded_image_has_the_part_of_the_map_that_is_on_it() -> None:
    top = np.zeros((64, 64), dtype=np.float32)
    top[:8] = 1.0  # on the padding above a wide image
    picture = map_picture(grey(192, 96), explained(top, area=(0.0, -0.5, 1.0, 1.5)))[: LONGEST_PX // 2]
    assert saturation(picture).max() == 0


def test_a_map_of_nothing_shows_the_image_alone() -> None:
    picture = map_picture(grey(), explained(np.zeros((64, 64), dtype=np.float32)))
    assert saturation(picture[:LONGEST_PX]).max() == 0


@pytest.mark.parametrize(
    ("size", "shown"), [((96, 96), (1024, 1024)), ((3000, 1500), (1024, 512)), ((20, 90), (228, 1024))]
)
def test_an_image_keeps_its_proportions_and_its_legend_has_room(size: tuple[int, int], shown: tuple[int, int]) -> None:
    height, width, _ = map_picture(grey(*size), explained()).shape
    assert (width, height) == (max(shown[0], LEAST_WIDTH_PX), shown[1] + BAND_PX)


def test_the_pixels_are_the_picture() -> None:
    capture = captured()
    np.testing.assert_array_equal(capture.pixel_array, map_picture(grey(), explained()))


def test_patient_study_and_source_are_those_of_the_image() -> None:
    capture = captured()
    for keyword, value in (STUDY | IDENTIFYING).items():
        if keyword not in ("Modality", "SeriesInstanceUID", "SOPInstanceUID"):
            assert capture[keyword].value == value, keyword
    assert capture.SeriesInstanceUID != STUDY["SeriesInstanceUID"]
    (source,) = capture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == STUDY["SOPInstanceUID"]
    assert source.ReferencedSOPClassUID == pydicom.uid.ComputedRadiographyImageStorage


def test_what_is_explained_and_for_what_is_said() -> None:
    capture = captured()
    assert capture.DerivationDescription.startswith("Grad-CAM for COVID-19 (25.0%), by CoroNet ")
    assert "Research software, not a medical device." in capture.DerivationDescription
    assert (capture.ContentQualification, capture.DeviceSerialNumber) == ("RESEARCH", MODEL)
    assert capture.ImageType[:2] == ["DERIVED", "SECONDARY"]


def test_an_image_that_does_not_say_how_it_lies_gives_a_map_that_does_not() -> None:
    assert not captured(study_file(PatientOrientation=None)).PatientOrientation


def test_losses_and_names_in_the_pixels_are_passed_on() -> None:
    capture = captured(
        study_file(
            LossyImageCompression="01",
            LossyImageCompressionRatio=["12.5", "3"],
            LossyImageCompressionMethod="ISO_10918_1",
            BurnedInAnnotation="YES",
        )
    )
    assert (capture.LossyImageCompression, capture.LossyImageCompressionRatio) == ("01", [12.5, 3])
    assert capture.BurnedInAnnotation == "YES"
    plain = captured()
    assert "LossyImageCompression" not in plain
    assert "BurnedInAnnotation" not in plain


def test_the_same_map_is_the_same_object_and_another_is_another() -> None:
    source = source_of(study_file())
    first = captured()
    assert first.SOPInstanceUID == captured().SOPInstanceUID == capture_uid(source, FILE, MODEL, "grad_cam", "settings")
    others = {
        capture_uid(source, "a" * 64, MODEL, "grad_cam", "settings"),
        capture_uid(source, FILE, "e" * 64, "grad_cam", "settings"),
        capture_uid(source, FILE, MODEL, "occlusion", "settings"),
        capture_uid(source, FILE, MODEL, "grad_cam", "other settings"),
    }
    assert len(others | {first.SOPInstanceUID}) == 5


def test_the_image_can_be_read_as_any_other() -> None:
    one = explained()
    made = secondary_capture(source_of(study_file()), map_picture(grey(), one), one, FILE, MODEL)
    assert preview(made, LONGEST_PX, 2).startswith(b"\x89PNG")


@pytest.mark.parametrize("tags", [{}, {"PatientOrientation": None, "LossyImageCompression": "01"}])
def test_the_capture_is_what_its_sop_class_demands(tags: dict[str, Any], tmp_path: Path) -> None:
    one, path = explained(), tmp_path / "map.dcm"
    path.write_bytes(secondary_capture(source_of(study_file(**tags)), map_picture(grey(), one), one, FILE, MODEL))
    assert faults(path) == []


def test_dcmtk_reads_the_capture(tmp_path: Path) -> None:
    one, path = explained(), tmp_path / "map.dcm"
    path.write_bytes(secondary_capture(source_of(study_file()), map_picture(grey(), one), one, FILE, MODEL))
    read = dumped(path)
    assert "SOPClassUID" in read
    assert "=SecondaryCaptureImageStorage" in read
    assert "[RESEARCH]" in read
    assert "[Doe^Jane]" in read
