"""Weights on disk: safetensors with a checksum, written atomically, loaded strictly, finite. No pickle is executed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from coronet_core.support.checksums import PLACEHOLDER, require_intact, require_intact_content, write_checksum
from coronet_core.support.errors import TrainingError, WeightsError
from coronet_core.support.whole_files import write_whole

CHECKSUM: Final = "checksum"
"""Key of the checksum in the metadata."""
LENGTH_BYTES: Final = 8


def save_weights(module: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the state of `module` to `path`, whole or not at all; `metadata` says how it was made.

    Raises TrainingError for weights that are not finite.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    if key := first_not_finite(state):
        raise TrainingError(
            f"{path}: not written: {key} is not finite: training has diverged. Lower the learning rate, or set "
            "precision to fp32."
        )
    content = _with_metadata(save(state), {**(metadata or {}), CHECKSUM: PLACEHOLDER.decode()})

    def write(partial: Path) -> None:
        partial.write_bytes(content)
        write_checksum(partial)

    write_whole(path, write)


def first_not_finite(state: Mapping[str, Tensor]) -> str | None:
    """Return the first key whose tensor has NaN or infinite values; None if there is none."""
    return next((key for key, value in state.items() if not value.isfinite().all()), None)


def _with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file with `metadata`, in that order: the library's own order is random.

    The file is the length of its header, 8 bytes; the header, JSON padded with spaces; the tensors.
    """
    tensors_at = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = {"__metadata__": metadata, **json.loads(content[LENGTH_BYTES:tensors_at])}
    text = json.dumps(header, separators=(",", ":")).encode()
    padded = text.ljust(-(-len(text) // LENGTH_BYTES) * LENGTH_BYTES)  # keeps the tensors aligned
    return len(padded).to_bytes(LENGTH_BYTES, "little") + padded + content[tensors_at:]


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a torch file that holds tensors alone.

    Raises WeightsError when the file is missing, damaged, not finite, or holds anything but tensors; DamagedFileError
    when its checksum is wrong.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: weights file not found. Check the path, or train the networks (`coronet run`).")
    if path.suffix == ".safetensors":
        require_intact(path)
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
    _require_finite(state, str(path))
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file on how its weights were made; empty if it has none.

    Raises DamagedFileError or WeightsError when the file is missing or damaged.
    """
    require_intact(path)
    try:
        with safe_open(path, "numpy") as file:
            return {key: value for key, value in (file.metadata() or {}).items() if key != CHECKSUM}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({error}). Restore it, or train again.") from error


def read_metadata_from(content: bytes, name: str) -> dict[str, str]:
    """Return the metadata in the `content` of a safetensors file `name`, which may be anybody's; empty if it has none.

    Raises WeightsError when it has no header of a safetensors file.
    """
    try:
        header = json.loads(content[LENGTH_BYTES : LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")])
    except (ValueError, RecursionError) as error:  # JSON's and Unicode's
        raise WeightsError(f"{name}: not a safetensors file (no header). Restore it, or train again.") from error
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError(f"{name}: not a safetensors file (invalid metadata). Restore it, or train again.")
    return {key: value for key, value in metadata.items() if key != CHECKSUM}


def load_weights(module: nn.Module, path: Path) -> None:
    """Load `path` into `module`.

    Raises as `read_weights`, and WeightsError for keys or shapes of another network.
    """
    fill_with(module, read_weights(path), str(path))


def load_weights_from(module: nn.Module, content: bytes, name: str) -> None:
    """Load the `content` of a safetensors file `name` into `module`; raises as `load_weights` does."""
    fill_with(module, read_weights_from(content, name), name)


def read_weights_from(content: bytes, name: str) -> dict[str, Tensor]:
    """Read a state dict from the `content` of a safetensors file `name`; raises as `read_weights` does."""
    require_intact_content(content, name, "Restore it, or train again.")
    try:
        state = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{name}: damaged or not a weights file ({error}). Restore it, or train again.") from error
    _require_finite(state, name)
    return state


def _require_finite(state: Mapping[str, Tensor], name: str) -> None:
    if key := first_not_finite(state):
        raise WeightsError(f"{name}: {key} is not finite. Train the network again, with a lower learning rate.")


def fill_with(module: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load `state` of the file `name` into `module`; raises WeightsError for keys or shapes of another network."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{name}: its weights do not fit {type(module).__name__} ({reason}).") from error
