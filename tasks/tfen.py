"""The trained TFEN, as the stages behind training take it: from its files, frozen, on a device."""

from collections.abc import Mapping

import torch

from coronet_core.classes import ClassName
from coronet_core.models.fpae import FPAE
from coronet_core.models.tfen import TFEN
from coronet_core.residuals import freeze
from coronet_core.weights import load_weights, load_weights_from
from tasks.paths import autoencoder_weights


def load_tfen(device: torch.device) -> TFEN:
    """Load both autoencoders."""
    tfen = TFEN(FPAE(), FPAE())
    load_weights(tfen.healthy, autoencoder_weights("healthy"))
    load_weights(tfen.pneumonia, autoencoder_weights("pneumonia"))
    freeze(tfen, device)
    return tfen


def tfen_from(files: Mapping[ClassName, bytes], device: torch.device) -> TFEN:
    """Load both autoencoders from the content of their files: where they are needed, the files need not be."""
    tfen = TFEN(FPAE(), FPAE())
    load_weights_from(tfen.healthy, files["healthy"], autoencoder_weights("healthy").name)
    load_weights_from(tfen.pneumonia, files["pneumonia"], autoencoder_weights("pneumonia").name)
    freeze(tfen, device)
    return tfen
