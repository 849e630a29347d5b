"""Weights on disk: safetensors, written atomically and loaded strictly. Nothing pickled is ever executed."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn

from coronet_core.support.errors import WeightsError
from coronet_core.support.whole_files import write_whole


def save_weights(module: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the state of `module` to `path`, whole or not at all; `metadata` says how it was made."""
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    kept = None if metadata is None else dict(metadata)
    write_whole(path, lambda partial: save_file(state, partial, kept))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a torch file that holds tensors alone.

    Raises WeightsError when the file is missing, damaged, or holds anything but tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: weights file not found. Check the path, or run the stage that writes it.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged or not a weights file ({error}). Restore it, or train again.") from error
    except Exception as error:  # of whatever kind torch's are, their text may advise to trust the file
        raise WeightsError(
            f"{path}: damaged, or it holds more than tensors and is refused. Restore it, or save a plain state dict."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: not a state dict of tensors. Save `module.state_dict()`.")
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file on how its weights were made; empty if it has none.

    Raises WeightsError when the file is missing or damaged.
    """
    try:
        with safe_open(path, "numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({error}). Restore it, or train again.") from error


def load_weights(module: nn.Module, path: Path) -> None:
    """Load `path` into `module`; raises WeightsError when keys or shapes differ."""
    _fill(module, read_weights(path), str(path))


def load_weights_from(module: nn.Module, content: bytes, name: str) -> None:
    """Load the `content` of a safetensors file `name` into `module`; raises WeightsError as `load_weights` does."""
    try:
        state = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{name}: damaged or not a weights file ({error}). Restore it, or train again.") from error
    _fill(module, state, name)


def _fill(module: nn.Module, state: dict[str, Tensor], name: str) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{name}: weights of another network than {type(module).__name__} ({reason}).") from error
