"""Reading DICOM: every pixel encoding gives the same picture, and nothing of the patient's identity comes out."""

import io
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)
from sklearn.datasets import load_sample_image

from coronet_core.common.literals import Aspect, Reading
from coronet_core.data.reading.dicom import read_dicom
from coronet_core.data.reading.image import decode
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError

PIXELS = phantom.draw(1, "healthy", "p", 0, 96)[0]  # (96, 96), air dark
SECRETS = {"PatientName": "Doe^Jane", "PatientID": "MRN-12345", "AccessionNumber": "ACC-77"}


def dicom(values: np.ndarray = PIXELS, bits: int = 8, **tags: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4.5.6"
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.Rows, header.Columns = values.shape[:2]
    header.SamplesPerPixel = 3 if values.ndim == 3 else 1
    header.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        header.PlanarConfiguration = 0
    header.BitsAllocated = 8 if values.dtype.itemsize == 1 else 16
    header.BitsStored, header.HighBit = bits, bits - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    header.PixelData = values.tobytes()
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4.5.6"
    for keyword, value in {**SECRETS, **tags}.items():
        setattr(header, keyword, value)
    return header


def saved(header: FileDataset, **options: Any) -> bytes:
    buffer = io.BytesIO()
    header.save_as(buffer, **options)
    return buffer.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(read_dicom(content, 1).grey).astype(int)


def compressed(syntax: pydicom.uid.UID, header: FileDataset) -> bytes:
    header.compress(syntax)
    return saved(header)


def jpeg(syntax: pydicom.uid.UID, encoded: bytes) -> bytes:
    """A DICOM around a JPEG that another encoder has made: pydicom has no encoder for these syntaxes."""
    header = dicom()
    header.PixelData = pydicom.encaps.encapsulate([encoded])
    header.file_meta.TransferSyntaxUID = syntax
    header["PixelData"].VR = "OB"
    return saved(header)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_pixels_are_those_that_were_compressed(syntax: pydicom.uid.UID) -> None:
    np.testing.assert_array_equal(pixels(compressed(syntax, dicom())), PIXELS)


def test_jpeg_baseline_is_read() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", quality=95)
    assert abs(pixels(jpeg(JPEGBaseline8Bit, buffer.getvalue())) - PIXELS).mean() < 3


def test_lossless_jpeg_is_read() -> None:
    source, target = Path("plain.dcm"), Path("lossless.dcm")
    source.write_bytes(saved(dicom()))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    content = target.read_bytes()
    assert pydicom.dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    np.testing.assert_array_equal(pixels(content), PIXELS)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_plain_pixels_are_read(syntax: pydicom.uid.UID) -> None:
    header = dicom()
    header.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(pixels(saved(header)), PIXELS)


def stretched(values: np.ndarray) -> np.ndarray:
    return ((values - values.min()) * 255.0 / np.ptp(values)).round().astype(int)


@pytest.mark.parametrize(("bits", "factor"), [(12, 16), (16, 257), (10, 4)])
def test_deep_pixels_keep_their_contrast(bits: int, factor: int) -> None:
    content = saved(dicom(PIXELS.astype(np.uint16) * factor, bits))
    assert abs(pixels(content) - stretched(PIXELS)).max() <= 1


def test_signed_pixels_are_read() -> None:
    content = saved(dicom(PIXELS.astype(np.int16) * 8 - 1000, 16))
    assert abs(pixels(content) - stretched(PIXELS)).max() <= 1


def test_monochrome1_comes_out_with_air_dark() -> None:
    content = saved(dicom(255 - PIXELS, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(pixels(content), PIXELS)


def test_monochrome1_of_pixels_with_air_dark_is_not_turned_into_a_negative() -> None:
    content = saved(dicom(PIXELS, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(pixels(content), PIXELS)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_eight_bits_in_sixteen_are_read(kind: str) -> None:
    stored = 255 - PIXELS if kind == "MONOCHROME1" else PIXELS
    content = saved(dicom(stored.astype(np.uint16), 8, PhotometricInterpretation=kind))
    np.testing.assert_array_equal(pixels(content), PIXELS)


def test_the_window_is_applied() -> None:
    content = saved(dicom(PIXELS.astype(np.uint16) * 16, 12, WindowCenter=1000, WindowWidth=400))
    shown = pixels(content)
    assert (shown[PIXELS < 45] == 0).all()
    assert (shown[PIXELS > 80] == 255).all()


def test_rescaling_comes_before_the_window() -> None:
    tags = {"RescaleSlope": 2, "RescaleIntercept": -500, "WindowCenter": 1500, "WindowWidth": 800}
    rescaled = pixels(saved(dicom(PIXELS.astype(np.uint16) * 16, 12, **tags)))
    same = pixels(saved(dicom(PIXELS.astype(np.uint16) * 16, 12, WindowCenter=1000, WindowWidth=400)))
    assert abs(rescaled - same).max() <= 1


def test_a_voi_lut_is_applied() -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.add_new("LUTData", "US", [(i // 128) * 65535 for i in range(256)])
    shown = pixels(saved(dicom(PIXELS.astype(np.uint16), 8, VOILUTSequence=[table])))
    np.testing.assert_array_equal(shown, np.where(PIXELS >= 128, 255, 0))


def test_colour_that_is_grey_is_read_and_a_photograph_refused() -> None:
    assert abs(pixels(saved(dicom(np.stack([PIXELS] * 3, axis=-1)))) - PIXELS).max() <= 1
    with pytest.raises(DataError, match="colour photograph"):
        read_dicom(saved(dicom(load_sample_image("flower.jpg").copy())), 1)


def test_a_file_without_preamble_is_read() -> None:
    header = dicom()
    del header.file_meta, header.preamble
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert decode(buffer.getvalue(), 64, Aspect.STRETCH).facts.width_px == 96


def truncated() -> bytes:
    return saved(dicom())[:-2000]


def multi_frame() -> bytes:
    header = dicom(NumberOfFrames=2)
    header.PixelData = PIXELS.tobytes() * 2
    return saved(header)


def without_pixels() -> bytes:
    header = dicom()
    del header.PixelData
    return saved(header)


def bomb() -> bytes:
    header = dicom()
    header.Rows = header.Columns = 60_000
    return saved(header)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (truncated, "truncated or damaged DICOM"),
        (multi_frame, r"multi-frame \(2 frames\)"),
        (without_pixels, "not an image"),
        (bomb, "decompression bomb"),
    ],
)
def test_what_cannot_be_used_is_named_without_naming_the_patient(make: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        decode(make(), 64, Aspect.STRETCH)
    assert not any(secret in str(caught.value) for secret in SECRETS.values())


@pytest.mark.parametrize(("text", "years"), [("061Y", 61.0), ("018M", 1.5), ("61", 61.0), ("old", None), ("", None)])
def test_view_sex_and_age_are_taken_from_the_header(text: str, years: float | None) -> None:
    with pydicom.config.disable_value_validation():
        content = saved(dicom(ViewPosition="PA", PatientSex="F", PatientAge=text))
    radiograph = read_dicom(content, 2)
    assert (radiograph.view, radiograph.sex, radiograph.age) == ("PA", "F", years)


@pytest.mark.parametrize("reading", [1, 2])
def test_the_real_dicoms_come_out_with_air_dark(shared: Path, reading: Reading) -> None:
    files = sorted((shared / "data/dicom").glob("*.dcm"))
    for file in files:
        radiograph = read_dicom(file.read_bytes(), reading)
        image = np.asarray(radiograph.grey)
        spine, right_lung = image[600:700, 480:560].mean(), image[300:600, 200:400].mean()
        assert right_lung < spine - 30, file.name
        assert radiograph.view in {"PA", "AP"}
        assert radiograph.age is not None
    assert len(files) == 3


def deflated(padding_bytes: int) -> bytes:
    header = dicom()
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.add_new(0x7FE10010, "OB", bytes(padding_bytes))  # private, behind the pixels
    return saved(header)


def test_a_deflated_file_is_not_inflated_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coronet_core.data.reading.dicom.MAX_INFLATED_BYTES", 2**20)
    content = deflated(2**21)
    assert len(content) < 2**16
    with pytest.raises(DataError, match="decompression bomb"):
        read_dicom(content, 2)
    read_dicom(deflated(2**19), 2)
