"""The networks that can be the CIN. The paper's is ResNet-18; the others are for comparison (paper sec. 1.1)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import nn

from coronet_core.classifier.dark_covid_net import DarkCovidNet
from coronet_core.classifier.inputs import PLANES
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinArchitecture, CinInput

Modules = tuple[str, ...]
"""Names of submodules."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network of torchvision's, or of this project's, and the names of its parts."""

    title: str
    """As papers write it."""
    build: Callable[[], nn.Module]
    """Returns it untrained, three channels in, a logit for each class out."""
    first_layer: str
    """The convolution that reads the input."""
    levels: tuple[Modules, ...]
    """Its layers with weights in levels from the output to the input; the first is the head, which holds `linear`."""
    linear: str
    """The last layer, which is never pretrained."""
    last_features: str
    """The submodule whose output is the last map: Grad-CAM reads it."""
    middle_blocks: dict[str, int] = field(default_factory=dict)
    """Submodules at the end of the two blocks before the last, with their channels; none where it has no such."""


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from torchvision.models import get_model  # late: not every stage has a CIN

        with_auxiliary_head = {"aux_logits": False, "init_weights": True} if name == "inception_v3" else {}
        network: nn.Module = get_model(name, weights=None, num_classes=len(CLASSES), **with_auxiliary_head)
        return network

    return build


RESNET_LEVELS: Final = (("fc",), ("layer4",), ("layer3",), ("layer2",), ("layer1",), ("conv1", "bn1"))

ARCHITECTURES: Final[dict[CinArchitecture, Architecture]] = {
    "resnet18": Architecture(
        title="ResNet-18",
        build=_torchvision("resnet18"),
        linear="fc",
        first_layer="conv1",
        levels=RESNET_LEVELS,
        last_features="layer4",
        middle_blocks={"layer2": 128, "layer3": 256},
    ),
    "resnet50": Architecture(
        title="ResNet-50",
        build=_torchvision("resnet50"),
        linear="fc",
        first_layer="conv1",
        levels=RESNET_LEVELS,
        last_features="layer4",
        middle_blocks={"layer2": 512, "layer3": 1024},
    ),
    "densenet121": Architecture(
        title="DenseNet-121",
        build=_torchvision("densenet121"),
        linear="classifier",
        first_layer="features.conv0",
        levels=(
            ("classifier",),
            ("features.denseblock4", "features.transition3", "features.norm5"),
            ("features.denseblock3", "features.transition2"),
            ("features.denseblock2", "features.transition1"),
            ("features.denseblock1",),
            ("features.conv0", "features.norm0"),
        ),
        last_features="features.denseblock4",
        middle_blocks={"features.denseblock2": 512, "features.denseblock3": 1024},
    ),
    "inception_v3": Architecture(
        title="Inception-v3",
        build=_torchvision("inception_v3"),
        linear="fc",
        first_layer="Conv2d_1a_3x3.conv",
        levels=(
            ("fc",),
            ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
            ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
            ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
            ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
        ),
        last_features="Mixed_7c",
        middle_blocks={"Mixed_5d": 288, "Mixed_6e": 768},
    ),
    "efficientnet_b0": Architecture(
        title="EfficientNet-B0",
        build=_torchvision("efficientnet_b0"),
        linear="classifier.1",
        first_layer="features.0.0",
        levels=(
            ("classifier",),
            ("features.6", "features.7", "features.8"),
            ("features.4", "features.5"),
            ("features.3",),
            ("features.2",),
            ("features.0", "features.1"),
        ),
        last_features="features.8",
        middle_blocks={"features.3": 40, "features.5": 112},
    ),
    "convnext_tiny": Architecture(
        title="ConvNeXt-Tiny",
        build=_torchvision("convnext_tiny"),
        linear="classifier.2",
        first_layer="features.0.0",
        levels=(
            ("classifier",),
            ("features.6", "features.7"),
            ("features.4", "features.5"),
            ("features.2", "features.3"),
            ("features.0", "features.1"),
        ),
        last_features="features.7",
        middle_blocks={"features.3": 192, "features.5": 384},
    ),
    "dark_covid_net": Architecture(
        title="DarkCovidNet",
        build=DarkCovidNet,
        linear="classifier",
        first_layer="features.0.0",
        levels=(("classifier",), ("features",)),
        last_features="features",
    ),
}


def build_cin(kind: CinInput = "residual_tensor", architecture: CinArchitecture = "resnet18") -> nn.Module:
    """Return an untrained CIN: residual tensor (B, 3, H, W) in, logits (B, 3) out; the paper's 11,178,051 parameters.

    Paper sec. 2.2. Residuals enter as they are: ImageNet's mean and deviation describe photographs, and the paper names
    no normalisation; the batch norm behind the first convolution takes up the scale. Another `kind` of input may have
    four channels.
    """
    return build_network(ARCHITECTURES[architecture], len(PLANES[kind]))


def build_network(architecture: Architecture, n_channels: int) -> nn.Module:
    """Return an untrained network, (B, n_channels, H, W) in, logits (B, 3) out."""
    return with_channels(architecture.build(), architecture, n_channels)


def with_channels(network: nn.Module, architecture: Architecture, n_channels: int) -> nn.Module:
    """Give `network` a new first convolution for inputs of `n_channels`, unless it has that many."""
    first = network.get_submodule(architecture.first_layer)
    if not isinstance(first, nn.Conv2d):
        raise TypeError(f"{architecture.first_layer} is not a convolution")
    if first.in_channels == n_channels:
        return network
    new = nn.Conv2d(
        n_channels,
        first.out_channels,
        kernel_size=first.kernel_size,  # type: ignore[arg-type]  # its stubs know pairs as tuples of any length
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")  # as torchvision does
    if new.bias is not None:
        torch.nn.init.zeros_(new.bias)
    network.set_submodule(architecture.first_layer, new)
    return network
