"""The COVID-19 identification network (CIN), paper sec. 2.2: a ResNet-18 that reads residual tensors."""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn

from coronet_core.classifier.inputs import PLANES
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinInput
from coronet_core.support.errors import WeightsError
from coronet_core.support.whole_files import sha256_of

FIRST_LAYER = "conv1.weight"
COLOURS = 3
CLASSIFIER_PREFIX = "fc."
STEP_COUNTER_SUFFIX = ".num_batches_tracked"


def build_cin(kind: CinInput = "residual_tensor") -> nn.Module:
    """Return an untrained CIN, 11,178,051 parameters: residual tensor (B, 3, H, W) in, logits (B, 3) out.

    Residuals enter as they are. ImageNet's mean and deviation describe photographs, and the paper names no
    normalisation; the batch norm behind the first convolution takes up the scale. Another
    `kind` of input may have four channels.
    """
    from torchvision.models import resnet18  # late: not every stage has a CIN

    cin: nn.Module = resnet18(weights=None, num_classes=len(CLASSES))
    n_channels = len(PLANES[kind])
    if n_channels != COLOURS:
        first = nn.Conv2d(n_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
        cin.conv1 = first
    return cin


def imagenet_backbone() -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights (IMAGENET1K_V1), from its cache or by download.

    Raises WeightsError when they are neither cached nor reachable.
    """
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.IMAGENET1K_V1
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


def load_backbone(cin: nn.Module, backbone: Mapping[str, Tensor], origin: str) -> None:
    """Copy `backbone` into `cin`, all layers but the classifier, which keeps its initial weights.

    A CIN with a fourth input channel starts with the mean of the three that the backbone knows.

    `origin` names the file in the error. Raises WeightsError when keys or shapes are not a ResNet-18's.
    """
    own, given = _transferable(cin.state_dict()), _transferable(backbone)
    if FIRST_LAYER in given and given[FIRST_LAYER].shape[1] == COLOURS < own[FIRST_LAYER].shape[1]:
        given[FIRST_LAYER] = torch.cat([given[FIRST_LAYER], given[FIRST_LAYER].mean(1, keepdim=True)], dim=1)
    wrong = sorted(own.keys() ^ given.keys()) or [key for key in own if own[key].shape != given[key].shape]
    if wrong:
        raise WeightsError(
            f"{origin}: not a ResNet-18 backbone: {len(wrong)} keys are missing, unknown or of another shape "
            f"(first: {wrong[0]}). Give a state dict of torchvision's resnet18."
        )
    cin.load_state_dict(given, strict=False)


def _transferable(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All but the classifier and batch norm's step counters, which older files (ImageNet's too) do not have."""
    layers = {key: value for key, value in state.items() if not key.startswith(CLASSIFIER_PREFIX)}
    return {key: value for key, value in layers.items() if not key.endswith(STEP_COUNTER_SUFFIX)}
