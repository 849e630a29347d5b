"""From any width and height to a square: COVIDx stretches, which bends anatomy; cropping and padding do not."""

from PIL import Image, ImageOps

from coronet_core.data.image_record import Box
from coronet_core.data.options import Aspect


def to_square(image: Image.Image, side_px: int, aspect: Aspect) -> Image.Image:
    """Return `image` as a square of `side_px`."""
    size = (side_px, side_px)
    match aspect:
        case Aspect.STRETCH:
            return image.resize(size, Image.Resampling.BILINEAR)
        case Aspect.CROP:
            return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
        case Aspect.PAD:
            return ImageOps.pad(image, size, Image.Resampling.BILINEAR)


def box_in_square(box: Box, width_px: int, height_px: int, aspect: Aspect) -> Box:
    """Return where `box` of an image of `width_px` x `height_px` lies in its square, as fractions of the square."""
    if aspect is Aspect.STRETCH:
        return box
    shown_px = min(width_px, height_px) if aspect is Aspect.CROP else max(width_px, height_px)

    def place(fraction: float, length_px: int) -> float:
        return min(max((fraction * length_px - (length_px - shown_px) / 2) / shown_px, 0.0), 1.0)

    left, top, right, bottom = box
    return place(left, width_px), place(top, height_px), place(right, width_px), place(bottom, height_px)
