"""Images for a source of class folders."""

from pathlib import Path

from PIL import Image

from coronet_core.common.classes import ClassName
from coronet_core.data.sources import phantom


def draw(folder: Path, label: ClassName, number: int) -> Path:
    """Draw image `number` of a class, of a patient of its own, 96 px; returns its file, `folder/label/number.png`."""
    path = folder / label / f"{number}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels, _ = phantom.draw(1, label, f"{label}-{number}", 0, 96)
    Image.fromarray(pixels).save(path)
    return path
