"""Gaussian blur: what methods and measures put in place of a part of an X-ray to take its evidence away."""

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

REACH = 4.0
"""Standard deviations at which the Gaussian is cut off."""


def blur(image: Tensor, radius_px: float) -> Tensor:
    """Blur (B, C, H, W) by a Gaussian of standard deviation `radius_px`, cut off where the image is too small."""
    if radius_px == 0:
        return image
    size = _kernel_size(radius_px, min(image.shape[-2:]))
    blurred: Tensor = gaussian_blur(image, [size, size], [radius_px, radius_px])
    return blurred


def upsampling_matrix(mask_size_px: int, length_px: int, shortest_px: int, blur_radius_px: float) -> Tensor:
    """Return A (length_px, mask_size_px): nearest neighbour upsampling and blur of one axis in one matrix.

    Both act on rows and columns apart, so a mask m (S, S) upsampled to (H, W) and blurred is A_H m A_W^T: two small
    products in place of a convolution with a kernel of some 41 x 41 values at full size. `shortest_px` is the image's
    shorter side, at which `blur` cuts its kernel off.
    """
    steps = functional.interpolate(torch.eye(mask_size_px)[None], size=length_px, mode="nearest")  # (1, S, length)
    if blur_radius_px > 0:
        # A kernel of size 1 down the rows: each row is blurred by itself.
        size = _kernel_size(blur_radius_px, shortest_px)
        steps = gaussian_blur(steps, [size, 1], [blur_radius_px, blur_radius_px])
    return steps[0].T.contiguous()  # (length, S)


def _kernel_size(radius_px: float, shortest_px: int) -> int:
    largest = shortest_px * 2 - 1  # reflection padding reaches no further than the image
    return min(2 * int(REACH * radius_px + 0.5) + 1, largest)
