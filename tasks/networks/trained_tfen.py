"""The trained TFEN, as the stages behind training take it: from its files, frozen, on a device."""

from collections.abc import Callable, Mapping

import torch

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN, freeze
from coronet_core.common.classes import ClassName
from coronet_core.common.weights import load_weights, load_weights_from
from tasks.runtime.paths import autoencoder_weights


def load_tfen(device: torch.device) -> TFEN:
    """Load both autoencoders."""
    return _filled(lambda module, label: load_weights(module, autoencoder_weights(label)), device)


def tfen_from(files: Mapping[ClassName, bytes], device: torch.device) -> TFEN:
    """Load both autoencoders from the content of their files: where they are needed, the files need not be."""
    return _filled(
        lambda module, label: load_weights_from(module, files[label], autoencoder_weights(label).name), device
    )


def _filled(fill: Callable[[FPAE, ClassName], None], device: torch.device) -> TFEN:
    tfen = TFEN(FPAE(), FPAE())
    fill(tfen.healthy, "healthy")
    fill(tfen.pneumonia, "pneumonia")
    freeze(tfen, device)
    return tfen
