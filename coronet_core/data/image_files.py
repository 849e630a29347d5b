"""Which files of a folder, or objects of a store, are images: one set of rules for sources, predictions and uploads.

A suffix that images have is believed. Any other, or none, is not: the file's first bytes decide, for DICOM files are
called `IM0001`, `x.IMA` or by their UID. What decoders read afterwards goes by the content alone, so a JPEG called
`x.png` is read as what it is. Hidden files, and those that systems and programs leave beside images, are left out by
their names; so are masks that lie beside the images that they belong to. Masks that lie elsewhere are recognised when
they are decoded (`coronet_core.data.reading.suitability`).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from coronet_core.data.file_kinds import has_image_suffix, kind_of
from coronet_core.data.segmentation_masks import without_masks

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


def is_companion(name: str) -> bool:
    """Say whether a file is hidden or no more than the trace of a system or program, by its relative path."""
    return any(
        part.startswith(".") or part.lower() in COMPANION_NAMES or part.lower().endswith(COMPANION_ENDINGS)
        for part in PurePosixPath(name).parts
    )


def _sniffer(beginning: Callable[[str], bytes]) -> Callable[[str], bool]:
    def is_image(name: str) -> bool:
        try:
            return kind_of(beginning(name)) is not None
        except OSError:
            return True

    return is_image
