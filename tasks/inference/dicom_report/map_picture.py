"""A map over its image as a picture that explains itself: colours, scale, class, and that it is for research alone."""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from coronet_core.common.classes import DISPLAY_NAMES, ClassName
from tasks.inference.seen_area import Area
from tasks.runtime.params.explain import METHOD_NAMES, MethodName

LONGEST_PX: Final = 1024
"""Longer side of the image in the picture."""
OPACITY: Final = 0.75
"""Of the map where its value is largest; where it is 0, the image alone is seen."""
RESEARCH_ALONE: Final = "CoroNet: research software, not a medical device"
BAND_PX: Final = 76
LEAST_WIDTH_PX: Final = 560
"""So that the words below a narrow image have room."""
TEXT_PX: Final = 20
MARGIN_PX: Final = 12


@dataclass(frozen=True, kw_only=True)
class ExplainedMap:
    """A map and what it explains."""

    values: NDArray[np.float32]
    """(H, W), at least 0, of the square that the networks saw."""
    label: ClassName
    probability: float
    """Of that class, calibrated."""
    method: MethodName
    area: Area
    """Which part of the image the square shows."""

    @property
    def title(self) -> str:
        """Method, class and probability in words."""
        return f"{METHOD_NAMES[self.method]} for {DISPLAY_NAMES[self.label]} ({self.probability:.1%})"


def map_picture(preview: bytes, explained: ExplainedMap) -> NDArray[np.uint8]:
    """Return (H, W, 3): the image of `preview` (PNG, grey) in its proportions, the map over it, and a legend below."""
    grey = Image.open(io.BytesIO(preview)).convert("L")
    scale = LONGEST_PX / max(grey.size)
    size = tuple(max(round(side * scale), 1) for side in grey.size)
    image = np.asarray(grey.resize((size[0], size[1]), Image.Resampling.BILINEAR), dtype=np.float32)
    strength = _over_image(explained, image.shape)[..., None]  # (H, W, 1), 0 to 1
    alpha = OPACITY * strength
    blended = alpha * _colours(strength[..., 0]) + (1 - alpha) * image[..., None]  # (H, W, 3)
    picture = Image.fromarray(blended.round().astype(np.uint8))
    width = max(picture.width, LEAST_WIDTH_PX)
    sheet = Image.new("RGB", (width, picture.height + BAND_PX))
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    sheet.paste(_legend(width, explained), (0, picture.height))
    return np.asarray(sheet)


def _over_image(explained: ExplainedMap, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the map (H, W) over an image of `shape`, from 0 to 1; 0 where the networks saw nothing of it."""
    height, width = shape
    left, top, right, bottom = explained.area
    box = (round(left * width), round(top * height), round(right * width), round(bottom * height))
    values = Image.fromarray(explained.values / (float(explained.values.max()) or 1.0))
    placed = Image.new("F", (width, height))
    placed.paste(values.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR), box[:2])
    return np.asarray(placed).clip(0, 1)


def _colours(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W, 3) from 0 to 255 in the colours of the report's maps and of the reading page's."""
    from matplotlib import colormaps  # late: half a second

    return np.asarray(colormaps["inferno"](strength)[..., :3] * 255, dtype=np.float32)


def _legend(width: int, explained: ExplainedMap) -> Image.Image:
    band = Image.new("RGB", (width, BAND_PX))
    draw, font = ImageDraw.Draw(band), ImageFont.load_default(TEXT_PX)
    draw.text((MARGIN_PX, MARGIN_PX // 2), explained.title, "white", font)
    draw.text((MARGIN_PX, MARGIN_PX // 2 + TEXT_PX + 8), RESEARCH_ALONE, "white", font)
    ramp = np.linspace(0, 1, width - 2 * MARGIN_PX, dtype=np.float32)[None].repeat(8, axis=0)
    band.paste(Image.fromarray(_colours(ramp).round().astype(np.uint8)), (MARGIN_PX, BAND_PX - 14))
    return band
