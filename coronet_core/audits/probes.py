"""Images that are no upright frontal chest X-ray, drawn or made of X-rays: a score of unlikeness has to find them.

Drawn, with nothing of an X-ray:

    blank          one grey
    noise          1/f noise, whose spectrum is that of photographs of nature
    shapes         rectangles of one grey each on a gradient
    checkerboard   squares of two greys
    text           lines of random glyphs, dark on bright or bright on dark

Made of an X-ray X:

    inverted       1 - X, as a file of the wrong polarity shows it
    cropped        a quarter of it, at a random place, enlarged
    sideways       turned by 90 degrees
    upside_down    turned by 180 degrees

Every probe takes X-rays (n, 1, H, W) float in [0, 1] and gives as many images of that shape and range.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import torch
from torch import Generator, Tensor
from torch.nn import functional

Probe = Callable[[Tensor, Generator], Tensor]

RECTANGLES: Final = 12
GLYPH_PX: Final = 6
"""Height and width of a glyph of 5 x 5 dots, with the space behind it."""
GLYPHS: Final = 26


def blank(xray: Tensor, rng: Generator) -> Tensor:
    """One grey an image."""
    return torch.rand(len(xray), 1, 1, 1, generator=rng).expand(xray.shape).clone()


def noise(xray: Tensor, rng: Generator) -> Tensor:
    """1/f noise between its smallest and largest value."""
    height, width = xray.shape[-2:]
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    frequency = (down**2 + across**2).sqrt()  # (H, W / 2 + 1)
    amplitude = torch.where(frequency > 0, 1 / frequency, 0)
    white = torch.fft.rfft2(torch.randn(xray.shape, generator=rng))
    field = torch.fft.irfft2(white * amplitude, s=(height, width))  # (n, 1, H, W)
    lowest, highest = field.amin((2, 3), keepdim=True), field.amax((2, 3), keepdim=True)
    stretched: Tensor = (field - lowest) / (highest - lowest)
    return stretched


def shapes(xray: Tensor, rng: Generator) -> Tensor:
    """Overlapping rectangles on a gradient from left to right."""
    height, width = xray.shape[-2:]
    image = torch.linspace(0, 1, width).expand(xray.shape).clone()
    for picture in image[:, 0]:
        for _ in range(RECTANGLES):
            (top, bottom), (left, right) = _span(height, rng), _span(width, rng)
            picture[top:bottom, left:right] = float(torch.rand(1, generator=rng))
    return image


def checkerboard(xray: Tensor, rng: Generator) -> Tensor:
    """Squares of two greys, 2 to 16 of them a side."""
    height, width = xray.shape[-2:]
    squares = torch.randint(2, 17, (len(xray), 1, 1, 1), generator=rng)
    row, column = (torch.arange(side) / side for side in (height, width))
    is_odd = ((row[:, None] * squares).long() + (column * squares).long()) % 2  # (n, 1, H, W)
    greys = torch.rand(len(xray), 2, 1, 1, generator=rng)
    return torch.where(is_odd == 1, greys[:, :1], greys[:, 1:])


def text(xray: Tensor, rng: Generator) -> Tensor:
    """A page of glyphs, every fifth of them a space."""
    n, _, height, width = xray.shape
    glyphs = torch.randint(0, 2, (GLYPHS, GLYPH_PX, GLYPH_PX), generator=rng).float()
    glyphs[:, -1], glyphs[:, :, -1] = 0, 0
    lines, columns = -(-height // (2 * GLYPH_PX)), -(-width // GLYPH_PX)
    page = glyphs[torch.randint(0, GLYPHS, (n, lines, columns), generator=rng)]  # (n, lines, columns, 6, 6)
    page[torch.rand(n, lines, columns, generator=rng) < 1 / 5] = 0
    page = functional.pad(page, (0, 0, 0, GLYPH_PX))  # a line of space below each
    ink = page.transpose(2, 3).reshape(n, 1, lines * 2 * GLYPH_PX, columns * GLYPH_PX)[..., :height, :width]
    is_dark_on_bright = torch.rand(n, 1, 1, 1, generator=rng) < 1 / 2
    return torch.where(is_dark_on_bright, 1 - ink, ink)


def inverted(xray: Tensor, _rng: Generator) -> Tensor:
    """1 - X."""
    return 1 - xray


def cropped(xray: Tensor, rng: Generator) -> Tensor:
    """Half the height and half the width, enlarged to the whole."""
    height, width = xray.shape[-2:]
    tops = torch.randint(0, height - height // 2 + 1, (len(xray),), generator=rng).tolist()
    lefts = torch.randint(0, width - width // 2 + 1, (len(xray),), generator=rng).tolist()
    quarters = [
        image[:, top : top + height // 2, left : left + width // 2]
        for image, top, left in zip(xray, tops, lefts, strict=True)
    ]
    return functional.interpolate(torch.stack(quarters), size=(height, width), mode="bilinear", align_corners=False)


def sideways(xray: Tensor, _rng: Generator) -> Tensor:
    """Turned by 90 degrees. X-rays that are not square are stretched to their old shape."""
    turned = xray.rot90(dims=(2, 3))
    return functional.interpolate(turned, size=xray.shape[-2:], mode="nearest")


def upside_down(xray: Tensor, _rng: Generator) -> Tensor:
    """Turned by 180 degrees."""
    return xray.rot90(2, dims=(2, 3))


def _span(side: int, rng: Generator) -> tuple[int, int]:
    """Two ends within `side`, the first before the second."""
    first, last = sorted(torch.randint(0, side + 1, (2,), generator=rng).tolist())
    return first, last


PROBES: Final[MappingProxyType[str, Probe]] = MappingProxyType(
    {
        probe.__name__: probe
        for probe in (blank, noise, shapes, checkerboard, text, inverted, cropped, sideways, upside_down)
    }
)
PROBE_NAMES: Final[MappingProxyType[str, str]] = MappingProxyType(
    {
        "blank": "blank images",
        "noise": "noise",
        "shapes": "rectangles",
        "checkerboard": "checkerboards",
        "text": "text",
        "inverted": "inverted X-rays",
        "cropped": "cropped X-rays",
        "sideways": "X-rays turned sideways",
        "upside_down": "X-rays turned upside down",
    }
)
"""The same in words, in the plural."""
