"""The trained TFEN, as the stages behind training take it: from its files, frozen, on a device."""

import torch

from coronet_core.models.fpae import FPAE
from coronet_core.models.tfen import TFEN
from coronet_core.residuals import freeze
from coronet_core.weights import load_weights
from tasks.paths import autoencoder_weights


def load_tfen(device: torch.device) -> TFEN:
    """Load both autoencoders."""
    tfen = TFEN(FPAE(), FPAE())
    load_weights(tfen.healthy, autoencoder_weights("healthy"))
    load_weights(tfen.pneumonia, autoencoder_weights("pneumonia"))
    freeze(tfen, device)
    return tfen
