"""One image of a source, before it is read."""

from collections.abc import Callable
from dataclasses import dataclass

from coronet_core.classes import ClassName

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the image's width and height, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a source knows of an image, and how to get its bytes."""

    image_id: str
    """Unique over all sources: the source's name and the image's place in it."""
    patient_id: str
    """As the source gives it; the same id in two sources is the same patient. Written to disk as a pseudonym."""
    label: ClassName
    source: str
    read: Callable[[], bytes]
    """Returns the encoded image; raises OSError when it cannot be read."""
    version: str
    """Changes when the image's bytes may have changed (size and time of a file, seed of a phantom)."""
    view: str | None = None
    sex: str | None = None
    age: float | None = None
    licence: str | None = None
    opacity_boxes: tuple[Box, ...] = ()
    """Where the disease is, if the source knows."""
