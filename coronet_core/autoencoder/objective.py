"""The autoencoder's objective, eq. (2)-(4)."""

from typing import NamedTuple

from torch import Tensor

from coronet_core.autoencoder.fpae import FPAE


class AutoencoderLoss(NamedTuple):
    """The terms of eq. (3) for a batch, each a 0-d float32 tensor."""

    loss: Tensor  # reconstruction + regulariser_weight * regulariser
    reconstruction: Tensor  # mean squared error of X against X~
    regulariser: Tensor  # mean squared error of Z against Z~, eq. (4)


def autoencoder_loss(
    autoencoder: FPAE, image: Tensor, regulariser_weight: float, batch_size: int | None = None
) -> AutoencoderLoss:
    """Return the objective of `image`, (B, 1, H, W) float32 in [0, 1].

    With `batch_size` B may be fewer images than that, or none: the terms are then their part of the batch's, and the
    parts of a batch add up to its objective.

    `regulariser_weight` is lambda. Both norms are taken as means of squares, as in the authors' code: sums would
    tie lambda to the image size. Z~ = E(X~) needs the encoder alone, and gradients flow through Z and Z~. With
    lambda 0 the regulariser is not computed.
    """
    reconstruction, latent = autoencoder(image)
    reconstruction_error = _mean_square(reconstruction, image, batch_size)
    if regulariser_weight == 0:
        return AutoencoderLoss(reconstruction_error, reconstruction_error, reconstruction_error.new_zeros(()))
    latent_of_reconstruction = autoencoder.encode(reconstruction)
    regulariser = _mean_square(latent.float(), latent_of_reconstruction.float(), batch_size)
    return AutoencoderLoss(reconstruction_error + regulariser_weight * regulariser, reconstruction_error, regulariser)


def _mean_square(x: Tensor, y: Tensor, batch_size: int | None) -> Tensor:
    """As torch's mse_loss, whose gradient takes a CPU longer."""
    squares = (x - y).square()
    if batch_size is None or batch_size == len(x):
        return squares.mean()
    return squares.sum() / (batch_size * x.shape[1:].numel())
