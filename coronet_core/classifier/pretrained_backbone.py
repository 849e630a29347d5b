"""Pretrained backbones of the CIN: torchvision's ImageNet weights, or those of a file that a user names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.error import URLError

import torch
from torch import Tensor, nn

from coronet_core.classifier.architectures import ARCHITECTURES, Architecture
from coronet_core.common.literals import CinArchitecture
from coronet_core.support.errors import WeightsError
from coronet_core.support.whole_files import sha256_of

COLOURS = 3
STEP_COUNTER_SUFFIX = ".num_batches_tracked"
NOT_OF_A_BACKBONE: Final = ("AuxLogits.", "op_threshs")
"""Keys of a second head of Inception-v3, and of thresholds that torchxrayvision's files hold."""
FORMER_DENSENET_KEY: Final = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""Torchvision's first files of DenseNets say norm.1 where its networks say norm1."""


def imagenet_backbone(architecture: CinArchitecture = "resnet18") -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights (IMAGENET1K_V1), from its cache or by download.

    Raises WeightsError when they are neither cached nor reachable, or if there are none.
    """
    from torchvision.models import get_model_weights

    if architecture == "dark_covid_net":
        raise WeightsError("cin.pretrained: imagenet: dark_covid_net has no ImageNet weights. Set it to none.")
    weights = get_model_weights(architecture)["IMAGENET1K_V1"]
    _delete_damaged(Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name))
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (URLError, OSError) as error:
        raise WeightsError(
            f"cin.pretrained: imagenet: the weights could not be downloaded ({error}). Fetch {weights.url} on a "
            "machine with network access and set cin.pretrained to the file's path, or set it to none."
        ) from error


def _delete_damaged(download: Path) -> None:
    """Delete a file of torchvision's cache that is not what its name says: torch checks it once, when it comes."""
    if download.is_file() and not sha256_of(download).startswith(download.stem.rpartition("-")[2]):
        download.unlink()


def load_backbone(
    cin: nn.Module, backbone: Mapping[str, Tensor], origin: str, architecture: CinArchitecture = "resnet18"
) -> None:
    """Copy `backbone` into the network `cin`, all layers but the last, which keeps its initial weights.

    A CIN with a fourth input channel starts with the mean of the three that the backbone knows. A backbone for grey
    images, of one channel, is shared among the channels.

    `origin` names the file in the error. Raises WeightsError when keys or shapes are not the architecture's.
    """
    known = ARCHITECTURES[architecture]
    first = f"{known.first_layer}.weight"
    own, given = (_transferable(state, known) for state in (cin.state_dict(), backbone))
    if first in given and first in own:
        given[first] = _for_channels(given[first], own[first].shape[1])
    wrong = sorted(own.keys() ^ given.keys()) or [key for key in own if own[key].shape != given[key].shape]
    if wrong:
        raise WeightsError(
            f"{origin}: not a {known.title} backbone: {len(wrong)} keys are missing, unknown or of another shape "
            f"(first: {wrong[0]}). Give a state dict of {architecture}."
        )
    cin.load_state_dict(given, strict=False)


def _for_channels(weight: Tensor, n_channels: int) -> Tensor:
    """Return the first convolution's weights (F, C, k, k) for `n_channels`, where C is 1 or 3."""
    if weight.shape[1] == 1 < n_channels:
        weight = weight.expand(-1, COLOURS, -1, -1) / COLOURS
    if weight.shape[1] == COLOURS < n_channels:
        weight = torch.cat([weight, weight.mean(1, keepdim=True)], dim=1)
    return weight


def _transferable(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """All but the last layer and batch norm's step counters, which older files (ImageNet's too) do not have."""
    not_taken = (f"{architecture.linear}.", *NOT_OF_A_BACKBONE)
    layers = {FORMER_DENSENET_KEY.sub(r"\1\2", key): value for key, value in state.items()}
    return {
        key: value
        for key, value in layers.items()
        if not key.startswith(not_taken) and not key.endswith(STEP_COUNTER_SUFFIX)
    }
