"""The autoencoders that the authors released in 2020, in our network."""

from pathlib import Path
from typing import Final

import torch

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN

TRUNK_LAYERS: Final = 3


def own_name(released: str) -> str:
    """Map a key of the authors' state dict to ours."""
    layer, parameter = released.split(".", 1)
    if layer == "bn0":
        return f"encoder.norm.{parameter}"
    if layer == "down":
        return f"encoder.down.{parameter}"
    number = int(layer[-1])
    if layer.startswith("conv_smooth"):
        return f"decoder.smooth.{number - 1}.{parameter}"
    if layer.startswith("convtrans"):
        return f"decoder.up.{number - 1}.{parameter}"
    part = f"trunk.{number - 1}" if number <= TRUNK_LAYERS else f"head.{number - TRUNK_LAYERS - 1}"
    return f"encoder.{part}.{'norm' if layer.startswith('bn') else 'conv'}.{parameter}"


def released_autoencoder(path: Path) -> FPAE:
    """Load one of the authors' files."""
    autoencoder = FPAE("coarsest")
    state = torch.load(path, map_location="cpu", weights_only=True)
    autoencoder.load_state_dict({own_name(key): value for key, value in state.items()})
    return autoencoder.eval()


def released_autoencoders(folder: Path) -> TFEN:
    """Load AE_H and AE_P from the folder of reference values."""
    return TFEN(*(released_autoencoder(folder / f"label_{label}_best.pth") for label in (0, 1)))
