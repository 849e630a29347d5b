"""Reading DICOM files as radiographs. Of the header, view, sex, age and the patient's id come out, no name."""

import io
import warnings
import zlib
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.processing import apply_color_lut, apply_rescale, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from coronet_core.data import fields
from coronet_core.data.polarity import is_negative
from coronet_core.data.radiograph import MAX_PIXELS, Radiograph, eight_bit
from coronet_core.data.raster import refuse_colour
from coronet_core.errors import DataError

# Values that break the standard's rules are common. Warnings would quote them, names included.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module="pydicom")

PREAMBLE_BYTES = 128
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""How files without the preamble begin: a tag of the group 0002 or 0008, little endian."""
BITS_OF_A_SCREEN = 8
"""What is stored in as many, without window or rescaling, is not stretched."""
META_GROUP = 0x0002
MAX_INFLATED_BYTES = 4 * MAX_PIXELS
"""Of a deflated file: the largest image in 16 bits, and as much again."""


def is_dicom(content: bytes) -> bool:
    """Say whether `content` begins as DICOM files do, with or without the preamble."""
    return content[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM" or (
        content[:2] in FIRST_GROUPS and content[3:4] == b"\x00"
    )


def read_dicom(content: bytes) -> Radiograph:
    """Read a DICOM file of one frame, in any transfer syntax of the handlers that are installed.

    Rescale slope and intercept, then the VOI LUT or window are applied; without a window the image's own range is
    shown. MONOCHROME1 is inverted, so that air is dark, unless air is dark in it as it is: then its tag is wrong.
    Raises DataError with the reason if it cannot be read, holds several frames, or is a colour photograph. The reason
    quotes no value of the header.
    """
    try:
        _refuse_deflated_bomb(content)
        header = pydicom.dcmread(io.BytesIO(content), force=True)
        _check_size(header)
        grey = _grey(header)
    except DataError:
        raise
    except Exception as error:  # pydicom and its handlers raise whatever they please, often with header values
        raise DataError(f"truncated or damaged DICOM ({type(error).__name__})") from error
    return Radiograph(
        grey=grey,
        width_px=int(header.Columns),
        height_px=int(header.Rows),
        view=fields.view(_text(header, "ViewPosition")),
        sex=fields.sex(_text(header, "PatientSex")),
        age=fields.age_years(_text(header, "PatientAge")),
        patient_id=_text(header, "PatientID"),
    )


def _refuse_deflated_bomb(content: bytes) -> None:
    """Raise DataError if `content` is deflated as a whole, header included, and too large: pydicom inflates it all."""
    stream = io.BytesIO(content)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != META_GROUP)  # noqa: FBT003  # explicit VR, little endian
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(), MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise DataError("decompression bomb")


def _check_size(header: pydicom.Dataset) -> None:
    if "Rows" not in header or "Columns" not in header or "PixelData" not in header:
        raise DataError("not an image (a DICOM without pixels)")
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise DataError(f"multi-frame ({frames} frames)")
    if int(header.Rows) * int(header.Columns) > MAX_PIXELS:
        raise DataError("decompression bomb")


def _grey(header: pydicom.Dataset) -> Image.Image:
    if "TransferSyntaxUID" not in header.file_meta:
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # what the standard presumes
    kind = header.PhotometricInterpretation
    is_baseline = header.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    values: NDArray[Any] = pixel_array(header, decoding_plugin="pillow" if is_baseline else "")  # three times faster
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, header)
    if header.SamplesPerPixel > 1 or kind == "PALETTE COLOR":
        colour = Image.fromarray(values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8))
        refuse_colour(colour)
        return colour.convert("L")
    shown = apply_voi_lut(apply_rescale(values, header), header)
    is_screen_ready = header.BitsStored == BITS_OF_A_SCREEN and np.array_equal(shown, values) and values.min() >= 0
    grey = Image.fromarray(values.astype(np.uint8)) if is_screen_ready else eight_bit(shown)
    if kind != "MONOCHROME1":
        return grey
    inverted = ImageOps.invert(grey)
    return grey if is_negative(inverted) else inverted  # some files say MONOCHROME1 of pixels that have air dark


def _text(header: pydicom.Dataset, keyword: str) -> str | None:
    return str(header.get(keyword) or "").strip() or None
