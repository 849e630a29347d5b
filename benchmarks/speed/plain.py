"""The method as a script of 2020 writes it: eager, float32, channels first, image by image where it loops.

The networks are ours, layer by layer those of the authors; what differs is how they are run. It needs torch and numpy.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.common.literals import Latent


def autoencoder(weights: Mapping[str, Tensor], latent: Latent = "pyramid") -> FPAE:
    """Return an autoencoder of these weights, of torch's own layers."""
    network = FPAE(latent)
    network.decoder.up = nn.ModuleList(
        nn.ConvTranspose2d(layer.in_channels, layer.out_channels, 3, padding=1) for layer in network.decoder.up
    )
    network.load_state_dict(weights)
    return network


@torch.no_grad()
def residual_tensor(networks: list[FPAE], image: Tensor) -> Tensor:
    """Return the residual tensor (B, 3, H, W) of `image` (B, 1, H, W)."""
    healthy, pneumonia = (network(image).reconstruction for network in networks)
    both = 2 * image - healthy - pneumonia
    return torch.cat([(image - healthy).abs(), (image - pneumonia).abs(), both.abs()], dim=1)


def autoencoder_loss(network: FPAE, image: Tensor, regulariser_weight: float) -> Tensor:
    """Return eq. (3) of `image` (B, 1, H, W), 0-d, Z of the reconstruction by the whole network."""
    reconstruction, latent = network(image)
    _, latent_again = network(reconstruction)
    regulariser = nn.functional.mse_loss(latent, latent_again)
    return nn.functional.mse_loss(reconstruction, image) + regulariser_weight * regulariser


def autoencoder_step(network: FPAE, optimizer: torch.optim.Optimizer, image: Tensor) -> float:
    """One step of eq. (3); returns the loss, as scripts print it."""
    network.train()
    optimizer.zero_grad()
    loss = autoencoder_loss(network, image, regulariser_weight=1.0)
    loss.backward()
    optimizer.step()
    return loss.item()


def cin_step(network: nn.Module, optimizer: torch.optim.Optimizer, residual: Tensor, labels: Tensor) -> float:
    """One step of the CIN on residual tensors (B, 3, H, W); returns the loss."""
    network.train()
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(residual), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def as_numbers(values: Tensor | NDArray[np.float16]) -> NDArray[np.float64]:
    """Return `values` to be compared."""
    array = values.detach().cpu().float().numpy() if isinstance(values, Tensor) else values
    return array.astype(np.float64)
