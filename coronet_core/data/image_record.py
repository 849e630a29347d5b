"""One image of a source, before it is read."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from coronet_core.common.classes import ClassName

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the image's width and height, in [0, 1]."""
PublishedPart = Literal["train", "test"]
"""Of a published list."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a source knows of an image, and how to get its bytes."""

    source: str
    """Where the image comes from, such as rsna; not where its list comes from."""
    name: str
    """The image's own name in its source: the path of its file there, or the id that the source gives it."""
    patient_id: str | None
    """As the source gives it, `patient_ids.normalised`; the same id in two sources or in a DICOM header is the same
    patient. None if the source does not know: then the header is read, or the image counts as a separate patient."""
    label: ClassName
    read: Callable[[], bytes]
    """Returns the encoded image; raises OSError when it cannot be read."""
    version: str
    """Changes when the image's bytes may have changed (size and time of a file, seed of a phantom)."""
    has_placeholder_id: bool = False
    """Whether the source has a placeholder instead of the patient's id."""
    header_repeats_name: bool = False
    """Whether DICOM headers of the source have the image's name where the patient's id should be, as RSNA's have."""
    copy: int = 1
    """Above 1 when a source counts one image several times."""
    published_part: PublishedPart | Literal["autoencoders"] | None = None
    """Where a published list puts the image; FOR_AUTOENCODERS where its source trains nothing else."""
    view: str | None = None
    sex: str | None = None
    age: float | None = None
    licence: str | None = None
    opacity_boxes: tuple[Box, ...] = ()
    """Where the disease is, if the source knows."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a source has: images of the three classes, and how much else."""

    records: list[Record]
    passed_over: Counter[str] = field(default_factory=Counter)
    """Number of images that the rules leave out, by reason."""
    unread: Counter[str] = field(default_factory=Counter)
    """Number of values that are there and not understood, by column: they count as unknown."""
    notes: list[str] = field(default_factory=list)
    """What the person who builds should know of how it was listed, for the terminal alone: it may name files."""


def file_version(path: Path) -> str:
    """Return the version of an image file, or `missing`: reading it then reports why."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size}/{status.st_mtime_ns}"
