"""The second reading rule for the monochrome pixels of a DICOM file: bits, padding, rescaling, window, then grey.py."""

from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import RLELossless

from coronet_core.data.reading.dicom_header import lookup_table, numbers, value_of, whole, words
from coronet_core.data.reading.grey import Background, Levels, n_levels, tabulate
from coronet_core.data.reading.radiograph import Note

Values = NDArray[Any]  # (H, W), whole numbers
MAX_PADDED_SHARE: Final = 0.95
MAX_BEYOND_SHARE: Final = 0.25
"""Overlays, which may lie in the bits that are not stored, cover less."""
MIN_WINDOWED_SHARE: Final = 0.2
"""Of the pixels, inside of a window; one that leaves fewer between black and white is in other units."""
MIN_WINDOWED_LEVELS: Final = 32
FUNCTIONS: Final = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
UNSIGNED_16: Final = 2**16
ROUGHER: Final = 1.5
"""Times the steps between neighbours by the other sign, where bright values were taken for dark ones."""
SAMPLED_ROWS: Final = 256
MIN_WRAPPED: Final = 16
"""Different values on both sides of the wrap: padding, which has one, is no wrapped picture."""


def monochrome(header: pydicom.Dataset, raw: Values, notes: list[Note]) -> tuple[Image.Image, Background | None]:
    """Return stored values (H, W) as they are to be shown, but for the polarity, and where there is padding."""
    values = _with_its_sign(header, _bits(header, raw, notes), notes)
    background = _padding(header, raw, values, notes)
    table = tabulate(values, background)
    rescaled = _rescaled(header, table.levels, notes)
    windowed = _windowed(header, rescaled, notes)
    if windowed is None:
        return table.image(rescaled)
    inside = table.counts[(windowed > windowed.min()) & (windowed < windowed.max())].sum()
    shows_little = inside < MIN_WINDOWED_SHARE * table.counts.sum()
    if shows_little or n_levels(windowed, table.counts) < MIN_WINDOWED_LEVELS <= n_levels(rescaled, table.counts):
        notes.append(Note.WINDOW)
        return table.image(rescaled)
    return table.image(windowed)


def _bits(header: pydicom.Dataset, raw: Values, notes: list[Note]) -> Values:
    """Return the bits that are stored, which HighBit tells, of values that may have others set."""
    stored, allocated = int(header.BitsStored), raw.dtype.itemsize * 8
    shift, mask = int(header.HighBit) + 1 - stored, 2**stored - 1
    if stored >= allocated or has_decoded_bits(header):
        return raw
    whole_words = raw.view(raw.dtype.str.replace("i", "u"))
    if header.PixelRepresentation == 1:
        sign = 2 ** (stored - 1)
        return np.asarray((((whole_words >> shift) & mask).astype(np.int64) ^ sign) - sign, dtype=np.int32)
    if not (whole_words & ~np.array(mask, whole_words.dtype)).any():
        if shift:
            notes.append(Note.PIXEL_ATTRIBUTES)
        return raw
    if shift == 0 and (raw > mask).mean() > MAX_BEYOND_SHARE + (raw == whole(header, "PixelPaddingValue")).mean():
        notes.append(Note.BITS)
        return raw
    return np.asarray((whole_words >> shift) & mask)


def has_decoded_bits(header: pydicom.Dataset) -> bool:
    """Say whether the decoder gives the stored bits alone: RLE packs words as they are, and is none of these."""
    syntax = header.file_meta.TransferSyntaxUID
    return bool(syntax.is_compressed) and syntax != RLELossless


def _with_its_sign(header: pydicom.Dataset, values: Values, notes: list[Note]) -> Values:
    """Return values read by the other sign where PixelRepresentation, or its lack, has put bright ends beside dark."""
    bits, lowest, highest = int(header.BitsStored), int(values.min()), int(values.max())
    if highest >= 2**bits or lowest < -(2 ** (bits - 1)):  # others than those that are stored
        bits = 8 * values.dtype.itemsize
    mask, half = 2**bits - 1, 2 ** (bits - 1)
    if lowest >= 0 and highest < half:
        return values
    unsigned = values.astype(np.int64) & mask
    other = unsigned if lowest < 0 else (unsigned ^ half) - half
    if _steps(values) <= ROUGHER * _steps(other):
        return values
    if min(len(np.unique(unsigned[is_side])) for is_side in (unsigned >= half, unsigned < half)) < MIN_WRAPPED:
        return values
    notes.append(Note.SIGN)
    return np.asarray(other, dtype=np.int32)


def _steps(values: Values) -> int:
    """Return the sum of the differences between neighbours in a row, of some rows."""
    rows = values[:: max(1, len(values) // SAMPLED_ROWS)].astype(np.int64)
    return int(np.abs(np.diff(rows, axis=1)).sum())


def _padding(header: pydicom.Dataset, raw: Values, values: Values, notes: list[Note]) -> Background | None:
    is_signed = header.PixelRepresentation == 1
    limits = [whole(header, f"PixelPadding{name}", is_signed=is_signed) for name in ("Value", "RangeLimit")]
    if limits[0] is None:
        return None
    first, last = sorted(_as_stored(limit, raw) for limit in (limits[0], limits[0] if limits[1] is None else limits[1]))
    background = (values >= first) & (values <= last)
    if header.HighBit == header.BitsStored - 1:  # padding may lie beyond the bits stored
        background = background | (raw >= first) & (raw <= last)
    if background.mean() > MAX_PADDED_SHARE:
        notes.append(Note.PADDING)
        return None
    return background if background.any() else None


def _as_stored(limit: int, raw: Values) -> int:
    """Return a padding value that was written with the wrong sign as the pixels have it."""
    span, bounds = 2 ** (8 * raw.dtype.itemsize), np.iinfo(raw.dtype)
    return int(limit - span if limit > bounds.max else limit + span if limit < bounds.min else limit)


def _rescaled(header: pydicom.Dataset, levels: Levels, notes: list[Note]) -> Levels:
    if "ModalityLUTSequence" in header:
        if (seen := _looked_up(header, "ModalityLUTSequence", levels)) is not None:
            return seen
        notes.append(Note.MODALITY_LUT)
    slope, intercept = (numbers(header, f"Rescale{name}", notes)[:1] for name in ("Slope", "Intercept"))
    if [None] in (slope, intercept) or slope == [0.0]:
        notes.append(Note.RESCALE)
    return levels * ((slope or [1.0])[0] or 1.0) + ((intercept or [0.0])[0] or 0.0)


def _windowed(header: pydicom.Dataset, levels: Levels, notes: list[Note]) -> Levels | None:
    """Return what the VOI LUT or the first sound window shows of `levels`; None if there is neither."""
    if "VOILUTSequence" in header:
        if (seen := _looked_up(header, "VOILUTSequence", levels)) is not None:
            return seen
        notes.append(Note.VOI_LUT)
    centres, widths = (numbers(header, f"Window{name}", notes) for name in ("Center", "Width"))
    function = " ".join(words(header, "VOILUTFunction")) or "LINEAR"
    least = 1.0 if function != "LINEAR_EXACT" else np.finfo(np.float64).tiny
    for centre, width in zip(centres, widths, strict=False):
        if centre is not None and width is not None and width >= least:
            if function not in FUNCTIONS:
                notes.append(Note.WINDOW_FUNCTION)
            return _window(levels, centre, width, function)
    if centres or widths:
        notes.append(Note.WINDOW)
    return None


def _window(levels: Levels, centre: float, width: float, function: str) -> Levels:
    """Return grey, 0 to 1, by the formulas of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (levels - centre) / width, -500, 500))))
    if function != "LINEAR_EXACT":
        centre, width = centre - 0.5, max(width - 1, np.finfo(np.float64).eps)
    return np.asarray(((levels - centre) / width + 0.5).clip(0, 1))


def _looked_up(header: pydicom.Dataset, keyword: str, levels: Levels) -> Levels | None:
    """Return what the first sound LUT of a sequence makes of `levels`; None if there is none."""
    items = value_of(header, keyword)
    order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
    tables = [lookup_table(item, order) for item in items] if isinstance(items, pydicom.Sequence) else []
    for first, entries in (table for table in tables if table is not None):
        is_negative = first >= UNSIGNED_16 // 2 and levels.min() < 0
        start = first - UNSIGNED_16 if is_negative else first
        return entries[(levels.round() - start).clip(0, len(entries) - 1).astype(np.int64)]
    return None
