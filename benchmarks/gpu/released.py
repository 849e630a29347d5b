"""The autoencoders that the authors released in 2020, in our network."""

from pathlib import Path

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.pretrained import load_pretrained
from coronet_core.autoencoder.residual_tensor import TFEN


def released_autoencoder(path: Path) -> FPAE:
    """Load one of the authors' files."""
    autoencoder = FPAE("coarsest")
    load_pretrained(autoencoder, path)
    return autoencoder.eval()


def released_autoencoders(folder: Path) -> TFEN:
    """Load AE_H and AE_P from the folder of reference values."""
    return TFEN(*(released_autoencoder(folder / f"label_{label}_best.pth") for label in (0, 1)))
