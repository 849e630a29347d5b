"""Reading PNG, JPEG, TIFF and other files that Pillow knows as radiographs."""

import io
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.common.literals import Reading
from coronet_core.data.reading.colour import deep_colours, deep_grey, refuse_colour
from coronet_core.data.reading.grey import Background, stretched, tabulate
from coronet_core.data.reading.polarity import air_dark
from coronet_core.data.reading.radiograph import MAX_PIXELS, Note, Radiograph, eight_bit, image_faults, upright
from coronet_core.data.reading.stream_size import MAX_SCANS, n_scans
from coronet_core.data.reading.tiff_tags import black_is_zero, plain_values
from coronet_core.support.errors import DataError

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE: Final = b"\xff\xd8"
NEVER_NEEDED: Final = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
FRAME_BYTES: Final = 12
"""Length, type and checksum of a chunk, around its data."""
LARGE_BYTES: Final = 2**20
"""Inflated. Pillow refuses files with larger profiles and texts."""
FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
PHONE_FORMAT: Final = "MPO"
"""A JPEG with further pictures behind the first, as phones write them: depth, other exposures."""


def without_ancillary_chunks(content: bytes) -> tuple[bytes, list[Note]]:
    """Return a PNG without text, profiles and damaged optional chunks, and its reading notes.

    Other files, and everything after an unreadable chunk header, are returned unchanged.
    """
    notes: dict[Note, None] = {}
    if not content.startswith(SIGNATURE):
        return content, []
    kept = [SIGNATURE]
    end = len(SIGNATURE)  # of the last chunk that is whole
    for start, end in _places(content):
        chunk = content[start:end]
        kind, data = chunk[4:8], chunk[8:-4]
        is_damaged = kind[:1].islower() and zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:])
        if is_damaged:
            notes[Note.CHUNK] = None
        elif kind in NEVER_NEEDED and _is_large(data):
            notes[Note.PROFILE] = None
        if not is_damaged and kind not in NEVER_NEEDED:
            kept.append(chunk)
    return b"".join([*kept, content[end:]]), list(notes)


def _places(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each whole chunk begins and ends."""
    start = len(SIGNATURE)
    while start + FRAME_BYTES <= len(content):
        end = start + FRAME_BYTES + int.from_bytes(content[start : start + 4])
        if end > len(content):
            return
        yield start, end
        start = end


def _is_large(data: bytes) -> bool:
    """Say whether a text or profile is large, deflated (behind its name and a byte or more) or plain."""
    if len(data) > LARGE_BYTES:
        return True
    _, _, packed = data.partition(b"\0")
    try:
        return len(zlib.decompressobj().decompress(packed[1:], LARGE_BYTES + 1)) > LARGE_BYTES
    except zlib.error:  # not deflated
        return False


def read_raster(content: bytes, needed_px: int, reading: Reading) -> Radiograph:
    """Read an image that is to be `needed_px` wide and high in the end, by the rule `reading`.

    Grey, RGB, RGBA, palette, CMYK, 16 bit and floating point; turned as its EXIF says; transparent parts black. A
    large JPEG is decoded at half, a quarter or an eighth of its size, as long as that is twice what is needed.
    Raises DataError with the reason if it cannot be read, holds several frames, or is a colour photograph.
    """
    return _by_first_rule(content, needed_px) if reading == 1 else _by_second_rule(content, needed_px)


def _by_first_rule(content: bytes, needed_px: int) -> Radiograph:
    _refuse_scans(content)
    with image_faults(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width_px, height_px = image.size
        _refuse_size(image)
        _refuse_frames(image)
        image.draft(None, (2 * needed_px, 2 * needed_px))
        turned, _ = upright(image)
        turned.load()
    grey = eight_bit(np.asarray(turned)) if _is_deep(turned) else _flat(turned)
    return Radiograph(grey=grey, width_px=width_px, height_px=height_px)


def _by_second_rule(content: bytes, needed_px: int) -> Radiograph:
    _refuse_scans(content)
    content, notes = without_ancillary_chunks(content)
    content, is_white_zero = black_is_zero(content)
    (width_px, height_px), turned, colours = _loaded(content, needed_px, notes)
    gain = 1.0
    if colours is not None:
        grey, background = deep_grey(colours)
    elif _is_deep(turned):
        grey, background = _deep(turned, notes)
    else:
        grey, background, gain = stretched(_flat(turned), _transparent(turned))
    grey, remark = air_dark(grey, background, is_tagged=is_white_zero)
    notes += [] if remark is None else [remark]
    return Radiograph(grey=grey, width_px=width_px, height_px=height_px, notes=tuple(notes), contrast_gain=gain)


def _loaded(
    content: bytes, needed_px: int, notes: list[Note]
) -> tuple[tuple[int, int], Image.Image, NDArray[np.uint16] | None]:
    """Return width and height as stored, the upright image and, of deep colour, all of its bits."""
    if (values := plain_values(content)) is not None:
        image = Image.fromarray(values)
        return image.size, image, None
    with image_faults():
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        size = image.size
        _refuse_size(image)
        if image.format == PHONE_FORMAT:
            notes.append(Note.FIRST_PICTURE)
        else:
            _refuse_frames(image)
        image.draft(None, (2 * needed_px, 2 * needed_px))
    colours = deep_colours(content, image)
    with image_faults():
        turned, is_sound = upright(image)
        turned.load()
    notes += [] if is_sound else [Note.EXIF]
    return size, turned, colours


def _deep(image: Image.Image, notes: list[Note]) -> tuple[Image.Image, Background | None]:
    values = np.asarray(image)
    background = np.zeros(values.shape, dtype=np.bool_)
    if not (is_finite := np.isfinite(values)).all():
        notes.append(Note.NOT_FINITE)
        background |= ~is_finite
        values = np.where(is_finite, values, 0)
    if isinstance(transparent := image.info.get("transparency"), int):
        background |= values == transparent
    table = tabulate(values, background)
    return table.image(table.levels)


def _refuse_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError("decompression bomb")


def _refuse_scans(content: bytes) -> None:
    if content.startswith(JPEG_SIGNATURE) and n_scans(content) > MAX_SCANS:
        raise DataError(f"more than {MAX_SCANS} scans")


def _refuse_frames(image: Image.Image) -> None:
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise DataError(f"multi-frame ({frames} frames)")


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))


def _transparent(image: Image.Image) -> Background | None:
    if not image.has_transparency_data:
        return None
    with image_faults():
        background: Background = np.asarray(image.convert("RGBA").getchannel("A")) == 0
    return background if background.any() else None


def _flat(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits as grey, on black. Raises DataError for a colour photograph."""
    colours: Image.Image | None = None
    with image_faults():
        if image.has_transparency_data:
            opaque = Image.new("RGBA", image.size, "black")
            image = Image.alpha_composite(opaque, image.convert("RGBA"))
        if image.mode not in ("1", "L"):
            colours = image.convert("RGB")
        grey = image.convert("L")
    if colours is not None:
        refuse_colour(colours)
    return grey
