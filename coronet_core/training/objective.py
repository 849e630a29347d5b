"""The autoencoder's objective, eq. (2)-(4)."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from coronet_core.models.fpae import FPAE


class AutoencoderLoss(NamedTuple):
    """The terms of eq. (3) for a batch, each a 0-d float32 tensor."""

    loss: Tensor  # reconstruction + regulariser_weight * regulariser
    reconstruction: Tensor  # mean squared error of X against X~
    regulariser: Tensor  # mean squared error of Z against Z~, eq. (4)


def autoencoder_loss(autoencoder: FPAE, image: Tensor, regulariser_weight: float) -> AutoencoderLoss:
    """Return the objective of `image`, (B, 1, H, W) float32 in [0, 1].

    `regulariser_weight` is lambda. Both norms are taken as means of squares, as in the authors' code: sums would
    tie lambda to the image size. Z~ = E(X~) needs the encoder alone, and gradients flow through Z and Z~. With
    lambda 0 the regulariser is not computed.
    """
    reconstruction, latent = autoencoder(image)
    reconstruction_error = functional.mse_loss(reconstruction, image)
    if regulariser_weight == 0:
        return AutoencoderLoss(reconstruction_error, reconstruction_error, reconstruction_error.new_zeros(()))
    latent_of_reconstruction = autoencoder.encode(reconstruction)
    regulariser = functional.mse_loss(latent.float(), latent_of_reconstruction.float())
    return AutoencoderLoss(reconstruction_error + regulariser_weight * regulariser, reconstruction_error, regulariser)
