"""Which files of a folder, or objects of a store, are images: one set of rules for sources, predictions and uploads.

A suffix that images have is believed. Any other, or none, is not: the file's first bytes decide, for DICOM files are
called `IM0001`, `x.IMA` or by their UID. What decoders read afterwards goes by the content alone, so a JPEG called
`x.png` is read as what it is. Hidden files, and those that systems and programs leave beside images, are left out by
their names; so are masks that lie beside the images that they belong to. Masks that lie elsewhere are recognised when
they are decoded (`coronet_core.data.reading.suitability`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from coronet_core.data.reading.dicom import is_dicom

IMAGE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".jp2", ".dcm", ".dicom"}
)
BEGINNING_BYTES: Final = 132
"""Bytes read to identify the kind of a file: DICOM's magic number comes after 128 others."""
READERS: Final = 8
"""Beginnings that are read at once: in a network each is a round trip."""

NOT_AN_IMAGE: Final = "not an image"
COMPANION: Final = "hidden or companion file"
MASK: Final = "mask beside images"

COMPANION_NAMES: Final = frozenset(
    {
        *("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "lost+found"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "dicomdir", "dicomdir;1"),
    }
)
"""In lower case: folders and files of systems, and the index of a DICOM medium."""
COMPANION_ENDINGS: Final = ("~", ".part", ".partial", ".crdownload", ".tmp")
"""Backups of editors, and what is still being written."""

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

MASK_FOLDER: Final = re.compile(
    r"(?!no|un|with|wearing).*masks?(png|images?|resized|\d+)?|.*segmentations?|segs?|groundtruths?|gts?|labelst[rsv]"
    r"|masken|masques?"
)
"""Names of folders of masks, in lower case and without blanks and dashes: masks, lung_mask, ManualMask, labelsTr."""
PART: Final = r"left|right|lungs?|heart|infection|bin|binary|predicted"
MASK_STEM: Final = re.compile(
    rf"(?P<image>.+?)(\.(png|jpe?g|dcm|tiff?))?[ _.-]*(({PART})[ _-]*)?(masks?|seg|segmentation|gt)"
    rf"([ _-]*({PART}|resized|\d+))?"
    rf"|(({PART})[ _-]?)?(mask|seg)[ _.-]+(?P<image_behind>.+)",
    re.IGNORECASE,
)
"""Names of masks beside an image: scan_7_mask or mask_scan_7 of scan_7."""


@dataclass(frozen=True)
class FoundImages:
    """The images among the files of a folder, and how many others there are, by reason."""

    names: list[str]
    passed_over: Counter[str]


def find_images(names: Iterable[str], beginning: Callable[[str], bytes]) -> FoundImages:
    """Choose the images among all files of a folder, sorted; `names` are relative to it, with slashes.

    `beginning` returns the first `BEGINNING_BYTES` of a file. It is asked, by several threads, only for files whose
    names do not tell. A file that it cannot open (OSError) counts as an image: reading it will say why.
    """
    every = sorted(names)
    seen = [name for name in every if not is_companion(name)]
    unsure = [name for name in seen if not has_image_suffix(name)]
    with ThreadPoolExecutor(READERS) as pool:
        others = {
            name for name, is_image in zip(unsure, pool.map(_sniffer(beginning), unsure), strict=True) if not is_image
        }
    images, n_masks = without_masks([name for name in seen if name not in others])
    passed_over = Counter({COMPANION: len(every) - len(seen), NOT_AN_IMAGE: len(others), MASK: n_masks})
    return FoundImages(images, +passed_over)


def without_masks(images: list[str]) -> tuple[list[str], int]:
    """Return `images` without the masks that lie beside others of them, and the number of these masks.

    A mask is in a folder that is called so (`masks`, `ManualMask/leftMask`), beside images of the folder around it, or
    has the name of an image of its folder with `_mask` behind it.
    """
    paths = [PurePosixPath(name) for name in images]
    plain = [path for path in paths if _mask_folder(path) is None]
    holding = {folder for path in plain for folder in path.parents}
    stems = {path.with_suffix("") for path in plain}
    kept = [str(path) for path in paths if not (_is_in_masks(path, holding) or _belongs_to_another(path, stems))]
    return kept, len(images) - len(kept)


def is_companion(name: str) -> bool:
    """Say whether a file is hidden or no more than the trace of a system or program, by its relative path."""
    return any(
        part.startswith(".") or part.lower() in COMPANION_NAMES or part.lower().endswith(COMPANION_ENDINGS)
        for part in PurePosixPath(name).parts
    )


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


def _sniffer(beginning: Callable[[str], bytes]) -> Callable[[str], bool]:
    def is_image(name: str) -> bool:
        try:
            return kind_of(beginning(name)) is not None
        except OSError:
            return True

    return is_image


def _begins_as_dicom(beginning: bytes) -> bool:
    """Say so of files without the preamble only if what follows the first tag is the beginning of a value."""
    if not is_dicom(beginning):
        return False
    is_short = 0 < int.from_bytes(beginning[4:8], "little") <= MAX_FIRST_LENGTH
    return beginning[128:132] == b"DICM" or is_short or VR.match(beginning[4:6]) is not None


def _mask_folder(path: PurePosixPath) -> PurePosixPath | None:
    """Return the outermost folder of `path` that is called as folders of masks are."""
    for folder in reversed(path.parents):
        if MASK_FOLDER.fullmatch(re.sub(r"[ _-]", "", folder.name.lower())):
            return folder
    return None


def _is_in_masks(path: PurePosixPath, holding_images: set[PurePosixPath]) -> bool:
    folder = _mask_folder(path)
    return folder is not None and folder.parent in holding_images


def _belongs_to_another(path: PurePosixPath, stems: set[PurePosixPath]) -> bool:
    named = MASK_STEM.fullmatch(path.stem)
    return named is not None and path.with_name(named["image"] or named["image_behind"]) in stems
