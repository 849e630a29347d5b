"""The scale of the residual tensor that the CIN reads: (r - offset) / unit, with statistics of other images.

- `standardised`: offset and unit are mean and deviation of each channel over the pixels of the training split.
- `z_map`: the offset is 0, and the unit of a pixel is the mean residual around it of the healthy validation images: how
  far AE_H and AE_P are usually off there. No unit is below a twentieth of its channel's mean: some places are black in
  all images.

The paper has neither. The residual is the one that is stored, rounded to float16; energies are those of eq. (5)-(7) in
any case, as the out-of-distribution score takes them.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.support.errors import DataError, WeightsError

CHANNELS: Final = 3
DIMENSIONS: Final = 3
SMALLEST_UNIT: Final = 1e-6
SMALLEST_SHARE: Final = 1 / 20
NEIGHBOURHOOD: Final = 1 / 32
"""Reach of the mean around a pixel, of the image's side."""


class ResidualScale(nn.Module):
    """Brings residual tensors to a scale. Its buffers are float32, (3, 1, 1) or (3, H, W)."""

    offset: Tensor
    unit: Tensor

    def __init__(self, offset: Tensor, unit: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", offset)
        self.register_buffer("unit", unit)

    def forward(self, residual: Tensor) -> Tensor:
        """Return `residual`, (B, 3, H, W) float32, scaled."""
        return (residual - self.offset) / self.unit


def standardised(parts: Iterable[NDArray[np.float16]]) -> ResidualScale:
    """Return the scale by mean and deviation of each channel of residual tensors, given as parts (n, 3, H, W)."""
    n, total, squares = 0, np.zeros(CHANNELS), np.zeros(CHANNELS)
    for part in parts:
        values = part.astype(np.float64)
        n += values.size // CHANNELS
        total += values.sum(axis=(0, 2, 3))
        squares += np.square(values).sum(axis=(0, 2, 3))
    _require_images(n, "training")
    mean = total / n
    deviation = np.sqrt(np.maximum(squares / n - mean**2, 0))
    return ResidualScale(_as_planes(mean), _as_planes(np.maximum(deviation, SMALLEST_UNIT)))


def z_map(parts: Iterable[NDArray[np.float16]]) -> ResidualScale:
    """Return the scale by the local mean of residual tensors, given as parts (n, 3, H, W)."""
    n, total = 0, np.zeros(0)
    for part in parts:
        n += len(part)
        total = part.sum(axis=0, dtype=np.float64) + (total if total.size else 0.0)
    _require_images(n, "healthy validation")
    mean = torch.from_numpy(total / n)  # (3, H, W)
    reach = max(1, round(NEIGHBOURHOOD * min(mean.shape[1:])))
    local = functional.avg_pool2d(mean, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
    least = (SMALLEST_SHARE * mean.mean(dim=(1, 2), keepdim=True)).clamp_min(SMALLEST_UNIT)
    return ResidualScale(torch.zeros(CHANNELS, 1, 1), torch.maximum(local, least).float())


def scale_from(state: Mapping[str, Tensor], name: str, side_px: int | None = None) -> ResidualScale:
    """Return the scale of this `state` of the file `name`, which may be anybody's, for images of `side_px`.

    Raises WeightsError if it is none. Without `side_px`, images of any side will do.
    """
    if state.keys() != {"offset", "unit"}:
        raise WeightsError(f"{name}: not a residual scale: its tensors must be offset and unit. {REMEDY}")
    for key, value in state.items():
        sides = {1, value.shape[-1] if side_px is None and value.ndim == DIMENSIONS else side_px}
        is_square = value.ndim == DIMENSIONS and value.shape[1] == value.shape[2]
        if value.dtype != torch.float32 or not is_square or len(value) != CHANNELS or value.shape[1] not in sides:
            raise WeightsError(
                f"{name}: {key} is {str(value.dtype).removeprefix('torch.')} {list(value.shape)}, expected float32 of "
                f"[3, 1, 1] or the images' [3, H, W]. {REMEDY}"
            )
        if not value.isfinite().all() or (key == "unit" and not (value > 0).all()):
            raise WeightsError(f"{name}: {key} has values that cannot scale residuals. {REMEDY}")
    return ResidualScale(state["offset"], state["unit"])


REMEDY: Final = "Run the stage materialize_residuals again (`coronet run`), or fetch the package again."


def _as_planes(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).float().view(CHANNELS, 1, 1)


def _require_images(n: int, which: str) -> None:
    if n == 0:
        raise DataError(f"no {which} images: residuals cannot be scaled by them. Set residuals.scale to none.")
