"""Reading DICOM files as radiographs. Of the header, view, sex, age and the patient's id come out, no name."""

import io
import itertools
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.pixels.processing import apply_color_lut, apply_rescale, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from coronet_core.common.literals import Reading
from coronet_core.data import fields
from coronet_core.data.reading.colour import deep_grey, refuse_colour
from coronet_core.data.reading.dicom_header import remarks, repair, value_of, words
from coronet_core.data.reading.dicom_monochrome import has_decoded_bits, monochrome
from coronet_core.data.reading.grey import stretched
from coronet_core.data.reading.polarity import air_dark, is_negative
from coronet_core.data.reading.radiograph import MAX_PIXELS, Note, Radiograph, dicom_faults, eight_bit
from coronet_core.data.reading.stream_size import MAX_SCANS, n_scans, stated_pixels
from coronet_core.support.errors import DataError

# Values that break the standard's rules are common. Warnings would quote them, names included.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module="pydicom")

PREAMBLE_BYTES = 128
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""How files without the preamble begin: a tag of the group 0002 or 0008, little endian."""
BITS_OF_A_SCREEN = 8
"""What is stored in as many, without window or rescaling, is not stretched."""
META_GROUP = 0x0002
PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
"""Of PixelData (7FE0,0010), little and big endian."""
MAX_INFLATED_BYTES = 4 * MAX_PIXELS
"""Of a deflated file: the largest image in 16 bits, and as much again."""

MAX_ELEMENTS = 20_000
"""Of a header; X-rays have some hundred."""


def is_dicom(content: bytes) -> bool:
    """Say whether `content` begins as DICOM files do, with or without the preamble."""
    return content[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM" or (
        content[:2] in FIRST_GROUPS and content[3:4] == b"\x00"
    )


def read_dicom(content: bytes, reading: Reading) -> Radiograph:
    """Read a DICOM file of one frame, in any transfer syntax of the handlers that are installed, by the rule `reading`.

    Rescale slope and intercept, then the VOI LUT or window are applied; without a window the image's own range is
    shown, by the second rule its robust range in any case. What is MONOCHROME1 is inverted, so that air is dark, unless
    air is dark in it as it is: then its tag is wrong. By the second rule faulty optional attributes are ignored.
    Raises DataError with the reason if it cannot be read, holds several frames, or is a colour photograph. The reason
    quotes no value of the header.
    """
    notes: list[Note] = []
    with dicom_faults():
        _refuse_deflated_bomb(content)
        header = read_partial(io.BytesIO(content), _counted(), force=True)
        if "TransferSyntaxUID" not in header.file_meta:
            header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # what the standard presumes
    if reading != 1:
        repair(header, notes)
    with dicom_faults():
        _check_size(header, content)
    grey, gain = (_by_first_rule(header), 1.0) if reading == 1 else _by_second_rule(header, notes)
    return Radiograph(
        grey=grey,
        width_px=int(header.Columns),
        height_px=int(header.Rows),
        view=fields.view(_text(header, "ViewPosition")),
        sex=fields.sex(_text(header, "PatientSex")),
        age=fields.age_years(_text(header, "PatientAge")),
        notes=tuple(dict.fromkeys(notes)),
        contrast_gain=gain,
        patient_id=_text(header, "PatientID"),
    )


def _refuse_deflated_bomb(content: bytes) -> None:
    """Raise DataError if `content` is deflated as a whole, header included, and too large: pydicom inflates it all."""
    stream = io.BytesIO(content)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, False, True, stop_when=_counted(ends_with=META_GROUP))  # noqa: FBT003  # explicit VR, little endian
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(), MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise DataError("decompression bomb")


def _counted(*, ends_with: int | None = None) -> Callable[[BaseTag, str | None, int], bool]:
    """Return a condition for pydicom to stop behind the group `ends_with`; raises DataError beyond MAX_ELEMENTS."""
    elements = itertools.count(1)

    def stops(tag: BaseTag, *_: object) -> bool:
        if next(elements) > MAX_ELEMENTS:
            raise DataError(f"more than {MAX_ELEMENTS} elements")
        return ends_with is not None and tag.group != ends_with

    return stops


def _check_size(header: pydicom.Dataset, content: bytes) -> None:
    if "Rows" not in header or "Columns" not in header or "PixelData" not in header:
        if any(tag in content for tag in PIXEL_TAGS):
            raise DataError("truncated or damaged DICOM (its pixels are cut off)")
        raise DataError("not an image (a DICOM without pixels)")
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise DataError(f"multi-frame ({frames} frames)")
    is_compressed = header.file_meta.TransferSyntaxUID.is_compressed
    stated = stated_pixels(header.PixelData) if is_compressed else 0
    if max(int(header.Rows) * int(header.Columns), stated) > MAX_PIXELS:
        raise DataError("decompression bomb")
    if stated and n_scans(header.PixelData) > MAX_SCANS:
        raise DataError(f"more than {MAX_SCANS} scans")


def _by_first_rule(header: pydicom.Dataset) -> Image.Image:
    with dicom_faults():
        kind = header.PhotometricInterpretation
        values = _values(header)
        if kind == "PALETTE COLOR":
            values = apply_color_lut(values, header)
        is_colour = header.SamplesPerPixel > 1 or kind == "PALETTE COLOR"
        shown = values if is_colour else apply_voi_lut(apply_rescale(values, header), header)
        is_screen_ready = header.BitsStored == BITS_OF_A_SCREEN and np.array_equal(shown, values) and values.min() >= 0
    if is_colour:
        return _grey_of_colour(values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8))
    grey = Image.fromarray(values.astype(np.uint8)) if is_screen_ready else eight_bit(shown)
    if kind != "MONOCHROME1":
        return grey
    inverted = ImageOps.invert(grey)
    return grey if is_negative(inverted) else inverted  # some files say MONOCHROME1 of pixels that have air dark


def _by_second_rule(header: pydicom.Dataset, notes: list[Note]) -> tuple[Image.Image, float]:
    """Return the image and how many times greys of 8 bits were stretched."""
    background, gain = None, 1.0
    with dicom_faults():
        values = _values(header, corrects_bits=has_decoded_bits(header))
        if header.PhotometricInterpretation == "PALETTE COLOR":
            values = apply_color_lut(values, header)
    if values.shape[:2] != (header.Rows, header.Columns):
        raise DataError("truncated or damaged DICOM (pixels of another shape)")
    if values.ndim == 3 and values.dtype == np.uint8:  # noqa: PLR2004  # (H, W, 3)
        grey, background, gain = stretched(_grey_of_colour(values), None)
    elif values.ndim == 3:  # noqa: PLR2004
        grey, background = deep_grey(values.astype(np.uint16))
    else:
        grey, background = monochrome(header, values, notes)
    shape = words(header, "PresentationLUTShape")
    is_tagged = header.PhotometricInterpretation == "MONOCHROME1" or shape == ["INVERSE"]
    grey, remark = air_dark(grey, background, is_tagged=is_tagged)
    notes += [*([] if remark is None else [remark]), *remarks(header)]
    return grey, gain


def _values(header: pydicom.Dataset, *, corrects_bits: bool = True) -> NDArray[Any]:
    is_baseline = header.file_meta.TransferSyntaxUID == JPEGBaseline8Bit  # three times faster with Pillow
    plugin = "pillow" if is_baseline else ""
    values: NDArray[Any] = pixel_array(header, decoding_plugin=plugin, correct_unused_bits=corrects_bits)
    return values


def _grey_of_colour(values: NDArray[np.uint8]) -> Image.Image:
    colour = Image.fromarray(values)
    refuse_colour(colour)
    return colour.convert("L")


def _text(header: pydicom.Dataset, keyword: str) -> str | None:
    return str(value_of(header, keyword) or "").strip() or None
