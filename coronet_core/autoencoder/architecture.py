"""What can differ from the paper's FPAE in the network itself, and how a weights file says which one it holds."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from coronet_core.common.literals import LEVEL_STRIDES, MAX_LATENT_CHANNELS
from coronet_core.support.errors import WeightsError

ARCHITECTURE_KEY: Final = "autoencoder.architecture"
"""Key in the metadata of weights: a JSON object of what differs from the paper's network. Without it nothing does."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The parts of an FPAE that can be left out or made narrower. The defaults are the paper's network."""

    adds_image: bool = True
    """Whether the image is added before the last sigmoid, which lets it through whatever the bottleneck holds."""
    has_skips: bool = True
    """Whether the decoder gets the encoder's pre-activations at full resolution."""
    latent_channels: int = 8
    """Channels of Z at each level, 1 to 64."""
    finest_stride: int = 1
    """Stride of the finest level in Z, one of LEVEL_STRIDES: 1 has all four levels, 8 the coarsest alone."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no network has."""
        if not all(isinstance(getattr(self, name), bool) for name in ("adds_image", "has_skips")):
            raise ValueError("adds_image and has_skips must be true or false")
        if type(self.latent_channels) is not int or not 1 <= self.latent_channels <= MAX_LATENT_CHANNELS:
            raise ValueError(f"latent_channels must be a whole number from 1 to {MAX_LATENT_CHANNELS}")
        if type(self.finest_stride) is not int or self.finest_stride not in LEVEL_STRIDES:
            raise ValueError(f"finest_stride must be one of {', '.join(map(str, LEVEL_STRIDES))}")

    @property
    def n_levels(self) -> int:
        """Levels of the pyramid in Z."""
        return len(LEVEL_STRIDES) - LEVEL_STRIDES.index(self.finest_stride)


PAPER: Final = Architecture()
"""The network of the paper and of the authors' code."""


def metadata_of(architecture: Architecture) -> dict[str, str]:
    """Return what the metadata of weights says of `architecture`: nothing of the paper's."""
    paper = asdict(PAPER)
    differing = {name: value for name, value in asdict(architecture).items() if value != paper[name]}
    return {ARCHITECTURE_KEY: json.dumps(differing, sort_keys=True)} if differing else {}


def architecture_of(metadata: Mapping[str, str], name: str) -> Architecture:
    """Return the architecture of the weights in the file `name` with this `metadata`, which may be anybody's text.

    Raises WeightsError if it does not describe an FPAE.
    """
    if ARCHITECTURE_KEY not in metadata:
        return PAPER
    try:
        return Architecture(**_known(json.loads(metadata[ARCHITECTURE_KEY])))
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{name}: {ARCHITECTURE_KEY} in its metadata does not describe an autoencoder ({error}). Restore the "
            "file, or train again."
        ) from error


def _known(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # what is wrong is the file's text
    if unknown := values.keys() - {field.name for field in fields(Architecture)}:
        raise ValueError(f"unknown key {min(unknown)[:40]!r}")
    return values
