"""Which part of an image the networks see."""

from coronet_core.common.literals import Aspect

Area = tuple[float, float, float, float]
"""Left, top, right and bottom as fractions of the image; beyond [0, 1] where the networks saw padding."""


def seen_area(width_px: int, height_px: int, aspect: Aspect) -> Area:
    """Return which part of an image its square shows: what a map of the square has to be laid over."""
    if aspect is Aspect.STRETCH:
        return (0.0, 0.0, 1.0, 1.0)
    side_px = min(width_px, height_px) if aspect is Aspect.CROP else max(width_px, height_px)
    across, down = side_px / width_px / 2, side_px / height_px / 2
    return (0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down)
