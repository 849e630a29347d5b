"""Which kind of image a file is, by its suffix or its first bytes."""

import re
from pathlib import Path, PurePosixPath
from typing import Final

from coronet_core.data.reading.dicom import is_dicom

IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".jp2", ".dcm", ".dicom"}
)
BEGINNING_BYTES: Final = 132
"""Bytes read to identify the kind of a file: DICOM's magic number comes after 128 others."""

MAGICS: Final = (
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("jpg", re.compile(rb"\xff\xd8\xff")),
    ("tif", re.compile(rb"II[*+]\x00|MM\x00[*+]")),
    ("gif", re.compile(rb"GIF8[79]a")),
    ("webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("jp2", re.compile(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
    ("bmp", re.compile(rb"BM.{4}\x00{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00{3}", re.DOTALL)),
    ("pgm", re.compile(rb"P[1-6]\s(\s|#[^\n]*\n)*\d+\s+\d+\s")),
)
"""How files of each kind begin: long enough that no text does."""
VR: Final = re.compile(rb"[A-Z]{2}")
MAX_FIRST_LENGTH: Final = 1024
"""Bytes of the first value of a DICOM file without preamble: an id or a list of characters, always short."""


def has_image_suffix(name: str) -> bool:
    """Say whether a file's suffix is one that images have."""
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def kind_of(beginning: bytes) -> str | None:
    """Return the kind of image that begins so, as a suffix without its dot; None for anything else."""
    if _begins_as_dicom(beginning):
        return "dcm"
    return next((kind for kind, magic in MAGICS if magic.match(beginning)), None)


def beginning_of(path: Path) -> bytes:
    """Return the first `BEGINNING_BYTES` of a file of this machine; raises OSError if it cannot be opened."""
    with path.open("rb") as file:
        return file.read(BEGINNING_BYTES)


def _begins_as_dicom(beginning: bytes) -> bool:
    """Say so of files without the preamble only if what follows the first tag is the beginning of a value."""
    if not is_dicom(beginning):
        return False
    is_short = 0 < int.from_bytes(beginning[4:8], "little") <= MAX_FIRST_LENGTH
    return beginning[128:132] == b"DICM" or is_short or VR.match(beginning[4:6]) is not None
