"""Pixel attributes of a DICOM header, even if missing, misspelt or damaged."""

import re
from contextlib import suppress
from math import isfinite
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray

from coronet_core.data.reading.radiograph import Note

MONOCHROME: Final = ("MONOCHROME1", "MONOCHROME2")
COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")
KINDS: Final = {re.sub(r"\W|_", "", kind): kind for kind in (*MONOCHROME, *COLOUR, "PALETTE COLOR")}
COLOURS: Final = 3
ALLOCATED: Final = (1, 8, 16, 32, 64)
NOT_RADIOGRAPHY: Final = ("CT", "MR", "PT", "NM", "US", "MG", "XA", "IO", "PX", "OP", "OPT", "ES")
"""Modalities of other images than projection X-rays of the body."""
SLICED: Final = ("CT",)
SLICE_TYPES: Final = ("LOCALIZER", "AXIAL")
SIDEWAYS: Final = ("A", "P")
"""Where the rows of a lateral view run to: anterior or posterior."""
MAX_LUT_ENTRIES: Final = 2**16
MAX_VARIATION: Final = 4.0


def value_of(header: pydicom.Dataset, keyword: str) -> Any:
    """Return the value of an element; None if there is none or pydicom cannot make it out."""
    try:
        return header.get(keyword)
    except Exception:  # noqa: BLE001  # a call of pydicom, which raises whatever it pleases
        return None


def whole(header: pydicom.Dataset, keyword: str, *, is_signed: bool = False) -> int | None:
    """Return a whole number; None if there is none that can be made out. Its type may be unknown (implicit VR)."""
    value = value_of(header, keyword)
    if isinstance(value, bytes):
        return int.from_bytes(value, "little", signed=is_signed) if value else None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def words(header: pydicom.Dataset, keyword: str) -> list[str]:
    """Return the values of an element as text, in capitals."""
    value = value_of(header, keyword)
    values = [] if value is None else [value] if isinstance(value, str) else value
    try:
        return [str(one).strip().upper() for one in values]
    except TypeError:  # one value that is no text
        return [str(values).strip().upper()]


def numbers(header: pydicom.Dataset, keyword: str, notes: list[Note]) -> list[float | None]:
    """Return the decimal numbers of an element, None for one that is none; nothing if the element is not there."""
    if keyword not in header:
        return []
    raw = header.get_item(keyword).value  # as stored: pydicom refuses what is no number
    if isinstance(raw, bytes):
        parts = raw.decode("ascii", "replace").rstrip("\0 ").split("\\")
    else:
        parts = [str(part) for part in raw] if isinstance(raw, (list, pydicom.multival.MultiValue)) else [str(raw)]
    return [_number(part, notes) for part in parts]


def _number(text: str, notes: list[Note]) -> float | None:
    if re.fullmatch(r"\s*[-+]?\d*,\d+\s*", text):
        notes.append(Note.DECIMAL_COMMA)
        text = text.replace(",", ".")
    with suppress(ValueError):
        if isfinite(number := float(text)):
            return number
    return None


def repair(header: pydicom.Dataset, notes: list[Note]) -> None:
    """Set what is missing or impossible of the attributes that the pixels are read by, to the standard's defaults."""
    kind = _kind(header)
    if str(value_of(header, "PhotometricInterpretation")).strip() != kind:
        notes.append(Note.PHOTOMETRIC)
    _set(header, "PhotometricInterpretation", kind)
    if "NumberOfFrames" in header and whole(header, "NumberOfFrames") is None:
        notes.append(Note.PIXEL_ATTRIBUTES)
        del header.NumberOfFrames
    samples = COLOURS if kind in COLOUR else 1
    repaired = {"SamplesPerPixel": samples, **_bits(header, samples)}
    repaired["PixelRepresentation"] = 1 if whole(header, "PixelRepresentation") == 1 else 0
    if samples > 1:
        repaired["PlanarConfiguration"] = 1 if whole(header, "PlanarConfiguration") == 1 else 0
    for keyword, value in repaired.items():
        if whole(header, keyword) != value:
            notes.append(Note.PIXEL_ATTRIBUTES)
            _set(header, keyword, value)


def _kind(header: pydicom.Dataset) -> str:
    """Return the photometric interpretation as the standard writes it, one that suits the number of samples."""
    stated = " ".join(words(header, "PhotometricInterpretation"))
    kind = KINDS.get(re.sub(r"\W|_", "", stated), "MONOCHROME2")
    samples = whole(header, "SamplesPerPixel")
    if samples == COLOURS and kind in MONOCHROME:
        return "RGB"
    return "MONOCHROME2" if samples == 1 and kind in COLOUR else kind


def _bits(header: pydicom.Dataset, samples: int) -> dict[str, int]:
    allocated = whole(header, "BitsAllocated")
    if allocated not in ALLOCATED:
        allocated = _allocated(header, samples)
    stored = whole(header, "BitsStored")
    if stored is None or not 0 < stored <= allocated:
        stored = allocated
    high_bit = whole(header, "HighBit")
    if high_bit is None or not stored <= high_bit + 1 <= allocated:
        high_bit = stored - 1
    return {"BitsAllocated": allocated, "BitsStored": stored, "HighBit": high_bit}


def _set(header: pydicom.Dataset, keyword: str, value: Any) -> None:
    if keyword in header:
        delattr(header, keyword)  # to change it pydicom would have to make it out first
    setattr(header, keyword, value)


def _allocated(header: pydicom.Dataset, samples: int) -> int:
    """Return the bits of a value by the length of the pixels; 16 if they are compressed or do not say."""
    pixels, n_values = value_of(header, "PixelData"), samples
    for keyword in ("Rows", "Columns"):
        n_values *= whole(header, keyword) or 0
    return 8 if n_values and pixels is not None and len(pixels) in (n_values, n_values + 1) else 16


def remarks(header: pydicom.Dataset) -> list[Note]:
    """Return the header's evidence against a frontal chest X-ray, apart from its ViewPosition."""
    found, modality = [], words(header, "Modality")
    if set(modality) & set(SLICED) or set(words(header, "ImageType")) & set(SLICE_TYPES):
        found.append(Note.SLICE)
    elif set(modality) & set(NOT_RADIOGRAPHY):
        found.append(Note.MODALITY)
    if "".join(words(header, "PatientOrientation")[:1]).startswith(SIDEWAYS):
        found.append(Note.LATERAL)
    return found


def lookup_table(item: pydicom.Dataset, order: str = "<") -> tuple[int, NDArray[np.float64]] | None:
    """Return the first value that a LUT maps, and what it maps this and the next ones to; None if it is damaged.

    Tables of 8 bits may be packed, two entries in a word. `order` is that of the file's bytes. A table that goes up and
    down more than MAX_VARIATION times its range is none that a picture is seen through.
    """
    descriptor, data = value_of(item, "LUTDescriptor"), value_of(item, "LUTData")
    try:
        if isinstance(descriptor, bytes):
            descriptor = np.frombuffer(descriptor, f"{order}u2")
        n_entries, first, _ = (int(number) for number in descriptor)
        n_entries = n_entries or MAX_LUT_ENTRIES
        packed = data if isinstance(data, bytes) else np.asarray(data, dtype="<u2").tobytes()
    except (TypeError, ValueError, OverflowError):
        return None
    if len(packed) == 2 * n_entries:
        entries = np.frombuffer(packed, f"{order}u2" if isinstance(data, bytes) else "<u2")
    elif len(packed) in (n_entries, n_entries + n_entries % 2):
        entries = np.frombuffer(packed, np.uint8)[:n_entries]
    else:
        return None
    table = entries.astype(np.float64)
    variation = np.abs(np.diff(table)).sum()
    return (first, table) if 0 < variation <= MAX_VARIATION * np.ptp(table) else None
