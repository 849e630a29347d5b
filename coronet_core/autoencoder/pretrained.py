"""Autoencoder weights from a file that a user names: of this software, or those that the authors released."""

from pathlib import Path
from typing import Final

from coronet_core.autoencoder.architecture import architecture_of
from coronet_core.autoencoder.fpae import FPAE, TRUNK_CHANNELS
from coronet_core.common.weights import fill_with, read_metadata, read_weights
from coronet_core.support.errors import WeightsError

TRUNK_LAYERS: Final = len(TRUNK_CHANNELS) - 1


def load_pretrained(autoencoder: FPAE, path: Path) -> None:
    """Load the weights in `path`, safetensors or a torch file of tensors alone, into `autoencoder`.

    The names are ours or the authors'. Raises WeightsError for weights of another network or architecture.
    """
    state = read_weights(path)
    released = {released_name(key): key for key in autoencoder.state_dict()}
    if state.keys() == released.keys():
        state = {released[key]: value for key, value in state.items()}
    found = architecture_of(read_metadata(path) if path.suffix == ".safetensors" else {}, str(path))
    if found != autoencoder.architecture:
        raise WeightsError(
            f"{path}: its weights have the architecture {found}, but the params of the autoencoder have "
            f"{autoencoder.architecture}. Change the params, or name other weights."
        )
    fill_with(autoencoder, state, str(path))


def released_name(own: str) -> str:
    """Return what the authors' state dict calls the tensor that ours calls `own`."""
    part, *inner, parameter = own.split(".")
    match (part, *inner):
        case ("encoder", "norm"):
            return f"bn0.{parameter}"
        case ("encoder", "down"):
            return f"down.{parameter}"
        case ("encoder", block, number, layer):
            position = int(number) + 1 + (TRUNK_LAYERS if block == "head" else 0)
            return f"{'bn' if layer == 'norm' else 'conv'}{position}.{parameter}"
        case (_, "smooth", number):
            return f"conv_smooth{int(number) + 1}.{parameter}"
        case (_, _, number):
            return f"convtrans{int(number) + 1}.{parameter}"
    raise ValueError(f"{own}: not a tensor of an FPAE")
