"""Colour: distinguishing grey X-rays stored in colour from photographs, and reading 16-bit colour byte by byte."""

import io
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.data.reading.grey import LIMITS, Background, sampled, tabulate
from coronet_core.data.reading.radiograph import image_faults, upright
from coronet_core.support.errors import DataError

PROBE_PX = 128
LUMINANCE_STEP = 16
MAX_CHROMA = 24
"""Distance from the tint, in grey levels, up to which a pixel passes for grey: what JPEG and scanners do."""
MAX_COLOURED_SHARE = 0.15
"""Red arrows cover 2% of an X-ray of the covid-chestxray collection; photographs are coloured all over."""
GREY_WITH_ALPHA: Final = "LA;16B"
OTHER_BYTE: Final = {
    f"{mode};16{byte}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX", "RGBa")
    for byte, other in (("B", "L"), ("L", "B"), ("N", "B"))
}
"""Pillow's name of the order in which the lower byte comes where the upper one would; N is this machine's, with the
lower byte first."""
LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
HEADER: Final = slice(12, 29)
"""Of a PNG: type and data of its first chunk, IHDR."""
DEPTH_AND_COLOUR: Final = 12
"""Where in it the depth is, and then the colour type."""
RGBA_OF_8_BITS: Final = b"\x08\x06"


def refuse_colour(image: Image.Image) -> None:
    """Raise DataError if `image` is a colour photograph.

    X-rays come in RGB, and films are tinted, but a tint is a function of the brightness. The share of pixels counts
    that are far from the median tint of their brightness.
    """
    probe = image.convert("RGB").resize((PROBE_PX, PROBE_PX), Image.Resampling.BOX)
    red, green, blue = np.asarray(probe, dtype=np.int16).reshape(-1, 3).T
    brightness = (red + green + blue) // 3 // LUMINANCE_STEP
    far = np.zeros(len(red), dtype=bool)
    for chroma in (red - green, blue - green):
        for step in np.unique(brightness):
            members = brightness == step
            far[members] |= abs(chroma[members] - np.median(chroma[members])) > MAX_CHROMA
    if far.mean() > MAX_COLOURED_SHARE:
        raise DataError(f"colour photograph ({far.mean():.0%} of it is coloured)")


def deep_colours(content: bytes, image: Image.Image) -> NDArray[np.uint16] | None:
    """Return an opened, not yet loaded `image` (H, W, C) of 16 bits and several channels; None if it is no such image.

    Channels are red, green and blue, or grey; then opacity if there is any. `content` is what it was opened from.
    """
    rawmode = _rawmode(image)
    if rawmode == GREY_WITH_ALPHA:
        both = _pixels(Image.open(io.BytesIO(_as_rgba(content)), formats=["PNG"]))
        return _joined(both[..., 0::2], both[..., 1::2])
    if rawmode not in OTHER_BYTE:
        return None
    with image_faults():
        lower = Image.open(io.BytesIO(content), formats=[image.format or ""])
        lower.tile = [tile._replace(args=_with(OTHER_BYTE[rawmode], tile.args)) for tile in lower.tile]
    return _joined(_pixels(image), _pixels(lower))


def deep_grey(colours: NDArray[np.uint16]) -> tuple[Image.Image, Background | None]:
    """Return `colours` (H, W, C) as grey by the second rule, on black, and where they are transparent.

    Raises DataError for a colour photograph.
    """
    n_colours = 1 if colours.shape[-1] <= 2 else 3  # noqa: PLR2004  # grey and opacity
    opacity = colours[..., n_colours] if colours.shape[-1] > n_colours else None
    background = None if opacity is None else opacity == 0
    values = colours[..., 0].astype(np.float32)
    if n_colours > 1:
        sample = sampled(colours[..., :3])
        brightest = max(float(np.quantile(sample, LIMITS[1])), 1.0)
        refuse_colour(Image.fromarray((sample * (255 / brightest)).clip(0, 255).astype(np.uint8)))
        values = colours[..., :3] @ LUMINANCE
    if opacity is not None:
        values *= opacity / np.float32(np.iinfo(np.uint16).max)
    table = tabulate(values.round().astype(np.uint16), background)
    return table.image(table.levels)


def _joined(upper: NDArray[np.uint16], lower: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.asarray((upper << 8) | lower, dtype=np.uint16)


def _pixels(image: Image.Image) -> NDArray[np.uint16]:
    with image_faults():
        return np.asarray(upright(image)[0]).astype(np.uint16)


def _rawmode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles else None
    return str(args[0] if isinstance(args, tuple) else args)


def _with(rawmode: str, args: Any) -> Any:
    return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode


def _as_rgba(content: bytes) -> bytes:
    """Return a PNG of grey and opacity in 16 bits as one of four channels of 8: the bytes of a row are the same."""
    header = bytearray(content[HEADER])
    header[DEPTH_AND_COLOUR : DEPTH_AND_COLOUR + 2] = RGBA_OF_8_BITS
    checksum = zlib.crc32(header).to_bytes(4)
    return content[: HEADER.start] + bytes(header) + checksum + content[HEADER.stop + 4 :]
