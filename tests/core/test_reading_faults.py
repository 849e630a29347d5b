"""A faulty optional attribute does not spoil sound pixels: it is passed over, and that is said."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import RawDataElement
from pydicom.uid import RLELossless

from coronet_core.common.literals import Aspect
from coronet_core.data.reading import grey
from coronet_core.data.reading.image import decode
from coronet_core.data.reading.radiograph import Note
from coronet_core.support.errors import DataError
from tests.core.reading_inputs import EIGHT, SIXTEEN, TWELVE, XRAY, chunk, dcm, deep_png, encoded, tiff
from tests.core.test_dicom import dicom, saved

SIDE_PX = 64
EXPECTED = decode(encoded(EIGHT), SIDE_PX, Aspect.STRETCH, 2).pixels.astype(np.float64)


def spoilt(*missing: str, **tags: Any) -> bytes:
    """A DICOM without the attributes `missing`, with `tags` of any content, given as bytes."""
    header = dicom(TWELVE, 12)
    for keyword in missing:
        delattr(header, keyword)
    for keyword, value in tags.items():
        tag = pydicom.datadict.tag_for_keyword(keyword)
        assert tag is not None
        kind = pydicom.datadict.dictionary_VR(tag)
        place = pydicom.tag.Tag(tag)
        header[tag] = RawDataElement(place, kind, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)
    return saved(header)


def with_lut(keyword: str, descriptor: list[int], kind: str, data: Any) -> bytes:
    table = pydicom.Dataset()
    table.LUTDescriptor = descriptor
    table.add_new("LUTData", kind, data)
    return saved(dicom(TWELVE, 12, **{keyword: [table]}))


def png_with(*chunks: bytes) -> bytes:
    content = encoded(EIGHT)
    return content[:33] + b"".join(chunks) + content[33:]


def bad_checksum(kind: bytes, data: bytes) -> bytes:
    return chunk(kind, data)[:-1] + b"\xff"


def of_several_pictures() -> bytes:
    other = Image.fromarray(255 - EIGHT)
    return encoded(EIGHT, "MPO", save_all=True, append_images=[other, other], quality=95)


def packed(values: np.ndarray, **tags: Any) -> pydicom.Dataset:
    """A DICOM with values of 16 bits, packed by RLE."""
    header = dicom(values, 16)
    header.compress(RLELossless)
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    return header


PROFILE = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3 * 2**20)))
NOT_A_NUMBER = np.where(XRAY.max() - 1 < XRAY, np.nan, XRAY).astype(np.float32)
SOUND = list(range(0, 65536, 16))
DEEP = (
    (XRAY * (4095 / 255) + np.random.default_rng(0).uniform(-8, 8, XRAY.shape)).clip(0, 4095).round().astype(np.uint16)
)
"""As many greys as detectors give: a window of 256 of them still shows many."""
PACKED = np.arange(4096, dtype=np.uint32) // 16
FAULTS: dict[str, tuple[bytes, Note | None]] = {
    "window of width 0": (dcm(WindowCenter=2000, WindowWidth=0), Note.WINDOW),
    "negative width": (dcm(WindowCenter=2000, WindowWidth=-5), Note.WINDOW),
    "no width": (dcm(WindowCenter=2000), Note.WINDOW),
    "window beside all values": (dcm(WindowCenter=90_000, WindowWidth=400), Note.WINDOW),
    "window of another depth": (dcm(DEEP, WindowCenter=128, WindowWidth=256), Note.WINDOW),
    "signed, and they are not": (dcm(PixelRepresentation=1), Note.SIGN),
    "unsigned, and they are not": (dcm(TWELVE.astype(np.int16) - 2048, 16, PixelRepresentation=0), Note.SIGN),
    "left-aligned and packed": (saved(packed(TWELVE << 4, BitsStored=12, HighBit=15)), None),
    "LUT of noise": (
        with_lut("VOILUTSequence", [4096, 0, 16], "US", np.random.default_rng(1).integers(0, 65535, 4096).tolist()),
        Note.VOI_LUT,
    ),
    "32 bits beyond those of signs": (tiff((XRAY * 1.6e7).astype(np.uint32)), None),
    "signed bytes": (tiff((XRAY - 128).round().astype(np.int8)), None),
    "second window is sound": (dcm(WindowCenter=[9, 2048], WindowWidth=[0, 4096]), None),
    "window is text": (spoilt(WindowCenter=b"soft", WindowWidth=b"wide"), Note.WINDOW),
    "empty window": (spoilt(WindowCenter=b"", WindowWidth=b""), Note.WINDOW),
    "decimal comma of the window": (spoilt(WindowCenter=b"2047,5 ", WindowWidth=b"4096,0"), Note.DECIMAL_COMMA),
    "decimal comma of the slope": (spoilt(RescaleSlope=b"1,5 ", RescaleIntercept=b"-1"), Note.DECIMAL_COMMA),
    "unknown function": (dcm(WindowCenter=2048, WindowWidth=4096, VOILUTFunction="LOG"), Note.WINDOW_FUNCTION),
    "empty slope": (spoilt(RescaleSlope=b"", RescaleIntercept=b""), Note.RESCALE),
    "slope is text": (spoilt(RescaleSlope=b"none", RescaleIntercept=b"0 "), Note.RESCALE),
    "slope of zero": (dcm(RescaleSlope=0, RescaleIntercept=0), Note.RESCALE),
    "slope is not finite": (spoilt(RescaleSlope=b"nan ", RescaleIntercept=b"inf "), Note.RESCALE),
    "packed LUT": (with_lut("VOILUTSequence", [4096, 0, 8], "OW", PACKED.astype(np.uint8).tobytes()), None),
    "LUT too short": (with_lut("VOILUTSequence", [4096, 0, 16], "US", SOUND[:100]), Note.VOI_LUT),
    "LUT of one grey": (with_lut("VOILUTSequence", [4096, 0, 16], "US", [7] * 4096), Note.VOI_LUT),
    "LUT descriptor too short": (with_lut("VOILUTSequence", [4096, 0], "US", SOUND), Note.VOI_LUT),
    "empty LUT sequence": (dcm(VOILUTSequence=[]), Note.VOI_LUT),
    "modality LUT too short": (with_lut("ModalityLUTSequence", [4096, 0, 16], "US", SOUND[:9]), Note.MODALITY_LUT),
    "no SamplesPerPixel": (spoilt("SamplesPerPixel"), Note.PIXEL_ATTRIBUTES),
    "no PixelRepresentation": (spoilt("PixelRepresentation"), Note.PIXEL_ATTRIBUTES),
    "no BitsStored, no HighBit": (spoilt("BitsStored", "HighBit"), Note.PIXEL_ATTRIBUTES),
    "no BitsAllocated": (spoilt("BitsAllocated"), Note.PIXEL_ATTRIBUTES),
    "none of them": (
        spoilt("SamplesPerPixel", "PixelRepresentation", "BitsAllocated", "BitsStored", "HighBit"),
        Note.PIXEL_ATTRIBUTES,
    ),
    "HighBit beyond the bits": (dcm(HighBit=40), Note.PIXEL_ATTRIBUTES),
    "HighBit that is not so": (dcm(HighBit=15), Note.PIXEL_ATTRIBUTES),
    "NumberOfFrames is text": (spoilt(NumberOfFrames=b"one "), Note.PIXEL_ATTRIBUTES),
    "lower case": (dcm(PhotometricInterpretation="monochrome2"), Note.PHOTOMETRIC),
    "misspelt": (dcm(PhotometricInterpretation="Monochrome 2"), Note.PHOTOMETRIC),
    "lower-case negative": (dcm(4095 - TWELVE, PhotometricInterpretation="monochrome1"), Note.PHOTOMETRIC),
    "no PhotometricInterpretation": (spoilt("PhotometricInterpretation"), Note.PHOTOMETRIC),
    "grey called colour": (dcm(PhotometricInterpretation="RGB"), Note.PHOTOMETRIC),
    "colour called grey": (
        dcm(np.stack([EIGHT] * 3, axis=-1), 8, PhotometricInterpretation="MONOCHROME2"),
        Note.PHOTOMETRIC,
    ),
    "large profile": (png_with(PROFILE), Note.PROFILE),
    "large text": (png_with(chunk(b"zTXt", b"t\0\0" + zlib.compress(bytes(3 * 2**20)))), Note.PROFILE),
    "bad checksum of a text": (png_with(bad_checksum(b"tEXt", b"Comment\0x-ray")), Note.CHUNK),
    "bad checksum of a size": (png_with(bad_checksum(b"pHYs", bytes(9))), Note.CHUNK),
    "bad checksum of a profile": (png_with(bad_checksum(b"iCCP", b"p\0\0x")), Note.CHUNK),
    "several pictures": (of_several_pictures(), Note.FIRST_PICTURE),
    "not a number": (tiff(NOT_A_NUMBER), Note.NOT_FINITE),
    "float64 beyond float32": (tiff(np.where(XRAY.max() - 1 < XRAY, 1e300, XRAY)), Note.NOT_FINITE),
}


@pytest.mark.parametrize("name", FAULTS)
def test_sound_pixels_are_read_and_the_fault_is_said(name: str) -> None:
    content, note = FAULTS[name]
    image = decode(content, SIDE_PX, Aspect.STRETCH, 2)
    assert np.corrcoef(image.pixels.ravel(), EXPECTED.ravel())[0, 1] >= 0.98
    assert abs(image.pixels - EXPECTED).mean() <= 12
    assert set(image.facts.notes) == ({note} if note else set())


def framed(values: np.ndarray, padding: float) -> np.ndarray:
    """`values` with padding around a third of its width."""
    values = values.copy()
    values[:, :64] = padding
    values[:, -64:] = padding
    return values


def cornered(values: np.ndarray, marker: int, side_px: int = 40) -> np.ndarray:
    values = values.copy()
    values[4 : 4 + side_px, 4 : 4 + side_px] = marker
    return values


def padding_of_wrong_sign() -> bytes:
    header = dicom(framed(TWELVE.astype(np.int16), -30000), 16)
    header.add_new("PixelPaddingValue", "US", 35536)
    return saved(header)


PADDED: dict[str, Callable[[], bytes]] = {
    "padding": lambda: dcm(framed(TWELVE, 65535), 16, PixelPaddingValue=65535),
    "padding beyond the bits stored": lambda: dcm(framed(TWELVE, 65535), 12, PixelPaddingValue=65535),
    "negative padding": lambda: dcm(framed(TWELVE.astype(np.int16), -30000), 16, PixelPaddingValue=-30000),
    "padding of the wrong sign": padding_of_wrong_sign,
    "range of padding": lambda: dcm(framed(TWELVE, 60_000), 16, PixelPaddingValue=65535, PixelPaddingRangeLimit=59_000),
    "padding of a negative": lambda: dcm(
        framed(4095 - TWELVE, 65535), 16, PixelPaddingValue=65535, PhotometricInterpretation="MONOCHROME1"
    ),
    "padding with a window": lambda: dcm(
        framed(TWELVE, 65535), 16, PixelPaddingValue=65535, WindowCenter=2048, WindowWidth=4096
    ),
    "padding that no tag names": lambda: encoded(framed(TWELVE, 65535)),
    "low padding that no tag names": lambda: tiff(framed(TWELVE.astype(np.int16), -30000)),
    "transparent": lambda: deep_png([framed(TWELVE, 65535), framed(np.full_like(TWELVE, 65535), 0)], 4),
    "far padding of floating point": lambda: tiff(framed((XRAY / 255).astype(np.float32), -9999)),
    "not a number": lambda: tiff(framed(XRAY.astype(np.float32), np.nan)),
}


@pytest.mark.parametrize("name", PADDED)
def test_padding_takes_no_part_and_is_background(name: str) -> None:
    image = decode(PADDED[name](), SIDE_PX, Aspect.STRETCH, 2).pixels.astype(np.float64)
    assert image[:, :10].max() == 0
    assert image[:, -10:].max() == 0
    assert np.corrcoef(image[:, 12:-12].ravel(), EXPECTED[:, 12:-12].ravel())[0, 1] >= 0.98
    assert abs(image - EXPECTED)[:, 12:-12].mean() <= 12


@pytest.mark.parametrize("side_px", [1, 8, 40, 70])
def test_a_marker_does_not_darken_the_rest(side_px: int) -> None:
    image = decode(encoded(cornered(TWELVE, 65535, side_px)), SIDE_PX, Aspect.STRETCH, 2)
    assert abs(image.pixels - EXPECTED)[16:, 16:].mean() <= 4
    assert image.grey_levels > 200


def test_padding_that_covers_the_picture_is_no_padding() -> None:
    image = decode(dcm(PixelPaddingValue=4095, PixelPaddingRangeLimit=0), SIDE_PX, Aspect.STRETCH, 2)
    assert abs(image.pixels - EXPECTED).mean() <= 1
    assert image.facts.notes == (Note.PADDING,)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (dcm()[:-2000], "truncated or damaged DICOM"),
        (saved(packed(TWELVE))[:-2000], "truncated or damaged DICOM"),
        (encoded(EIGHT)[:5000], "truncated or damaged image"),
        (deep_png([TWELVE] * 3, 2)[:5000], "truncated or damaged image"),
        (tiff(XRAY)[:5000], "damaged image"),
        (tiff(XRAY)[: 8 + 384 * 100] + bytes(4), "damaged image"),
        (png_with(bad_checksum(b"IDAT", bytes(9))), "damaged image|not an image"),
        (encoded(Image.fromarray(EIGHT), "GIF", save_all=True, append_images=[Image.fromarray(255 - EIGHT)]), "frames"),
        (dcm(np.full((100, 100), 90, dtype=np.uint8), 8), "zero variance"),
        (b"\x89PNG\r\n\x1a\n", "not an image"),
        (b"II*\0", "not an image"),
        (struct.pack("<4sI", b"II*\0", 4), "damaged image"),
    ],
)
def test_damaged_pixels_stay_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        decode(content, SIDE_PX, Aspect.STRETCH, 2)


def test_noise_on_one_grey_is_not_stretched_to_a_picture() -> None:
    noise = np.random.default_rng(1).integers(88, 92, (256, 256)).astype(np.uint8)
    with pytest.raises(DataError, match="zero variance"):
        decode(encoded(noise), SIDE_PX, Aspect.STRETCH, 2)


@pytest.mark.parametrize("content", [encoded(EIGHT), encoded(SIXTEEN), dcm()])
def test_a_fault_of_our_own_is_not_called_a_damaged_file(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError("a fault of ours")

    monkeypatch.setattr(grey, "_limits", broken)
    with pytest.raises(TypeError, match="a fault of ours"):
        decode(content, SIDE_PX, Aspect.STRETCH, 2)


def test_notes_hold_nothing_of_the_header() -> None:
    image = decode(spoilt(WindowCenter=b"Doe^Jane", WindowWidth=b"MRN-1 "), SIDE_PX, Aspect.STRETCH, 2)
    assert image.facts.notes == (Note.WINDOW,)
