"""The same X-ray gives the same picture, whatever file it is stored in."""

from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from coronet_core.common.literals import Aspect
from coronet_core.data.reading.image import decode
from tests.core.reading_inputs import EIGHT, SIXTEEN, TWELVE, XRAY, dcm, deep_png, encoded, tiff
from tests.core.test_dicom import compressed, dicom, saved

SIDE_PX = 224
INK = EIGHT // 3 + 40  # low contrast: 40 to 125
OPAQUE = np.full_like(SIXTEEN, 65535)


def reversed_lut() -> bytes:
    """A DICOM whose VOI LUT turns negative values into the picture."""
    table = pydicom.Dataset()
    table.LUTDescriptor = [4096, 0, 12]
    table.add_new("LUTData", "US", list(range(4095, -1, -1)))
    return saved(dicom(4095 - TWELVE, 12, VOILUTSequence=[table]))


def modality_lut() -> bytes:
    table = pydicom.Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.add_new("LUTData", "US", [65535 - 16 * value for value in range(4096)])
    return saved(dicom(4095 - TWELVE, 12, ModalityLUTSequence=[table]))


def in_bytes(syntax: pydicom.uid.UID, bits: int) -> bytes:
    return compressed(syntax, dicom(TWELVE if bits > 8 else EIGHT, bits))


def overlaid() -> bytes:
    """A DICOM with an overlay in the bits that are not stored."""
    values = TWELVE.copy()
    values[20:60, 20:60] |= 0x1000
    return saved(dicom(values, 12))


FILES = {
    "png8 of low contrast": encoded(INK),
    "png16": encoded(SIXTEEN),
    "png16 of 12 bits": encoded(TWELVE),
    "jpeg": encoded(EIGHT, "JPEG", quality=92),
    "jpeg of low contrast": encoded(INK, "JPEG", quality=95),
    "rgb png8": encoded(np.stack([EIGHT] * 3, axis=-1)),
    "bmp": encoded(EIGHT, "BMP"),
    "webp": encoded(EIGHT, "WEBP", lossless=True),
    "mpo": encoded(EIGHT, "MPO", save_all=True, append_images=[], quality=92),
    "grey with alpha, 16 bits": deep_png([SIXTEEN, OPAQUE], 4),
    "grey with alpha, 12 of 16 bits": deep_png([TWELVE, OPAQUE], 4),
    "rgb png16": deep_png([SIXTEEN] * 3, 2),
    "rgb png16 of 12 bits": deep_png([TWELVE] * 3, 2),
    "rgba png16 of 12 bits": deep_png([TWELVE] * 3 + [OPAQUE], 6),
    "tiff8": tiff(EIGHT),
    "tiff8, white is zero": tiff(255 - EIGHT, white_is_zero=True),
    "tiff16": tiff(SIXTEEN),
    "tiff16 of 12 bits": tiff(TWELVE),
    "tiff16, big endian": tiff(TWELVE, order=">"),
    "tiff16, white is zero": tiff(65535 - SIXTEEN, white_is_zero=True),
    "tiff16, white is zero, 12 bits": tiff(4095 - TWELVE, white_is_zero=True),
    "tiff16, white is zero, big endian": tiff(65535 - SIXTEEN, white_is_zero=True, order=">"),
    "tiff16, deflated": tiff(TWELVE, is_deflated=True),
    "tiff signed": tiff(TWELVE.astype(np.int16) - 1000),
    "tiff32": tiff(TWELVE.astype(np.int32) * 100_000),
    "tiff float16": tiff((XRAY / 255).astype(np.float16)),
    "tiff float32": tiff((XRAY / 1000 - 3).astype(np.float32)),
    "tiff float32, white is zero": tiff((1 - XRAY / 255).astype(np.float32), white_is_zero=True),
    "tiff float64": tiff(XRAY * 1e6),
    "tiff float64, deflated, big endian": tiff(XRAY * 1e-6, is_deflated=True, order=">"),
    "tiff float64, white is zero": tiff(1 - XRAY / 255, white_is_zero=True),
    "tiff rgb16 of 12 bits": tiff(np.stack([TWELVE] * 3, axis=-1)),
    "tiff rgb16 of 12 bits, big endian": tiff(np.stack([TWELVE] * 3, axis=-1), order=">"),
    "tiff rgb16 of 12 bits, deflated": tiff(np.stack([TWELVE] * 3, axis=-1), is_deflated=True),
    "dicom8": dcm(EIGHT, 8),
    "dicom8 of low contrast": dcm(INK, 8),
    "dicom12": dcm(),
    "dicom12 with a window that spans it": dcm(WindowCenter=2048, WindowWidth=4096),
    "dicom12 with a wide window": dcm(WindowCenter=2048, WindowWidth=9000),
    "dicom12 with an exact window": dcm(WindowCenter=2047.5, WindowWidth=4095, VOILUTFunction="LINEAR_EXACT"),
    "dicom12 rescaled": dcm(RescaleSlope=2, RescaleIntercept=-1000),
    "dicom12 of negative slope": dcm(4095 - TWELVE, 12, RescaleSlope=-1, RescaleIntercept=4095),
    "dicom16": dcm(SIXTEEN, 16),
    "dicom signed": dcm(TWELVE.astype(np.int16) - 2048, 12),
    "dicom signed, not extended": dcm(((TWELVE.astype(np.int16) - 2048) & 0xFFF).astype(np.int16), 12),
    "dicom left-aligned": dcm(TWELVE << 4, 12, HighBit=15),
    "dicom left-aligned with a window": dcm(TWELVE << 4, 12, HighBit=15, WindowCenter=2048, WindowWidth=4096),
    "dicom of too few bits stored": dcm(SIXTEEN, 12),
    "dicom with an overlay": overlaid(),
    "monochrome1": dcm(4095 - TWELVE, 12, PhotometricInterpretation="MONOCHROME1"),
    "presentation inverse": dcm(4095 - TWELVE, 12, PresentationLUTShape="INVERSE"),
    "voi lut": reversed_lut(),
    "modality lut": modality_lut(),
    "dicom rgb": dcm(np.stack([EIGHT] * 3, axis=-1), 8),
    "dicom rgb16": dcm(np.stack([TWELVE] * 3, axis=-1), 12),
    "jpeg2000 dicom12": in_bytes(JPEG2000Lossless, 12),
    "jpeg2000 dicom8": in_bytes(JPEG2000Lossless, 8),
    "rle dicom12": in_bytes(RLELossless, 12),
}


@pytest.mark.parametrize("syntax", [gdcm.TransferSyntax.JPEGLSLossless, gdcm.TransferSyntax.JPEGLosslessProcess14_1])
def test_what_gdcm_compresses_gives_it_too(syntax: int, tmp_path: Path) -> None:
    source, target = tmp_path / "plain.dcm", tmp_path / "compressed.dcm"
    source.write_bytes(dcm())
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert abs(picture(encoded(EIGHT)) - picture(target.read_bytes())).mean() <= 4


def picture(content: bytes) -> np.ndarray:
    return decode(content, SIDE_PX, Aspect.STRETCH, 2).pixels.astype(np.float64)


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_picture_that_its_png_of_8_bits_gives(name: str) -> None:
    expected, found = picture(encoded(EIGHT)), picture(FILES[name])
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] >= 0.99
    assert abs(expected - found).mean() <= 4


def test_by_the_first_rule_depth_shows_in_the_picture() -> None:
    shallow, deep = (decode(content, SIDE_PX, Aspect.STRETCH, 1).pixels for content in (encoded(INK), encoded(TWELVE)))
    assert abs(shallow.astype(int) - deep).mean() > 20
