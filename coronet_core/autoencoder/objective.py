"""The autoencoder's objective, eq. (2)-(4)."""

from typing import NamedTuple

from torch import Tensor

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.ssim import ssim


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
