"""The autoencoder's objective, eq. (2)-(4)."""

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from coronet_core.autoencoder.fpae import FPAE

WINDOW_PX: Final = 11
DEVIATION_PX: Final = 1.5
C1: Final = 0.01**2
C2: Final = 0.03**2


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean SSIM (B,) of images `x` and `y`, each (B, 1, H, W) in [0, 1], H and W at least 11; in [-1, 1].

    Structural similarity by Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Process. 13(4), 2004. With means m,
    variances v and the covariance c of x and y under a Gaussian window (11 x 11, deviation 1.5) wholly in the image:

        SSIM = (2 m_x m_y + C1) (2 c + C2) / ((m_x^2 + m_y^2 + C1) (v_x + v_y + C2))

    It is computed in float32 at least, under autocast too: variances are differences of close numbers.
    """
    with torch.autocast(x.device.type, enabled=False):
        kind = torch.promote_types(x.dtype, torch.float32)
        x, y = x.to(kind), y.to(kind)
        means = _windowed(torch.cat([x, y, x * x, y * y, x * y], dim=1))  # (B, 5, H - 10, W - 10)
        mean_x, mean_y, square_x, square_y, product = means.unbind(dim=1)
        variances = square_x - mean_x.square() + square_y - mean_y.square()
        luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
        structure = (2 * (product - mean_x * mean_y) + C2) / (variances + C2)
        return (luminance * structure).mean(dim=(1, 2))


def _windowed(planes: Tensor) -> Tensor:
    """Return the Gaussian means of (B, C, H, W) at each place where the window fits."""
    offsets = torch.arange(WINDOW_PX, device=planes.device, dtype=planes.dtype) - WINDOW_PX // 2
    window = torch.exp(-offsets.square() / (2 * DEVIATION_PX**2))
    window = window / window.sum()
    n_planes = planes.shape[1]
    down, across = (window.view(shape).expand(n_planes, 1, *shape[2:]) for shape in ((1, 1, -1, 1), (1, 1, 1, -1)))
    return functional.conv2d(functional.conv2d(planes, down, groups=n_planes), across, groups=n_planes)


class AutoencoderLoss(NamedTuple):
    """The terms of eq. (3) for a batch, each a 0-d float32 tensor."""

    loss: Tensor  # reconstruction + regulariser_weight * regulariser + ssim_weight * dissimilarity
    reconstruction: Tensor  # mean squared error of X against X~
    regulariser: Tensor  # mean squared error of Z against Z~, eq. (4)
    dissimilarity: Tensor  # 1 - SSIM of X and X~, which the paper does not have


def autoencoder_loss(
    autoencoder: FPAE,
    image: Tensor,
    regulariser_weight: float,
    batch_size: int | None = None,
    *,
    ssim_weight: float = 0.0,
    seen: Tensor | None = None,
    skip_weights: Tensor | None = None,
) -> AutoencoderLoss:
    """Return the objective of `image`, (B, 1, H, W) float32 in [0, 1].

    With `batch_size` B may be fewer images than that, or none: the terms are then their part of the batch's, and the
    parts of a batch add up to its objective.

    `regulariser_weight` is lambda. Both norms are taken as means of squares, as in the authors' code: sums would
    tie lambda to the image size. Z~ = E(X~) needs the encoder alone, and gradients flow through Z and Z~. With
    lambda 0 the regulariser is not computed, nor is SSIM with a weight of 0. `seen`, like `image`, is what the
    autoencoder is shown in its place (a corrupted image, whose latent Z then is), and `skip_weights` are those of
    `FPAE.forward`.
    """
    shown = image if seen is None else seen
    reconstruction, latent = autoencoder(shown) if skip_weights is None else autoencoder(shown, skip_weights)
    reconstruction_error = _mean_square(reconstruction, image, batch_size)
    loss, nothing = reconstruction_error, reconstruction_error.new_zeros(())
    regulariser = dissimilarity = nothing
    if regulariser_weight != 0:
        latent_of_reconstruction = autoencoder.encode(reconstruction)
        regulariser = _mean_square(latent.float(), latent_of_reconstruction.float(), batch_size)
        loss = loss + regulariser_weight * regulariser
    if ssim_weight != 0:
        dissimilarity = (1 - ssim(reconstruction, image)).sum() / (batch_size or len(image))
        loss = loss + ssim_weight * dissimilarity
    return AutoencoderLoss(loss, reconstruction_error, regulariser, dissimilarity)


def _mean_square(x: Tensor, y: Tensor, batch_size: int | None) -> Tensor:
    """As torch's mse_loss, whose gradient takes a CPU longer."""
    squares = (x - y).square()
    if batch_size is None or batch_size == len(x):
        return squares.mean()
    return squares.sum() / (batch_size * x.shape[1:].numel())
