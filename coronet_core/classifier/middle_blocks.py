"""A head that reads the two blocks before the last: their maps, averaged over the image and put side by side.

The last block of a network trained on photographs knows objects; the blocks before it know textures, which residuals
and opacities are made of.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from coronet_core.classifier.architectures import ARCHITECTURES, Architecture
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinArchitecture, HeadInput

BACKBONE: Final = "backbone"
HEAD: Final = "head"
LAST_MAP: Final = "last_map"


class Trunk(nn.Module):
    """The layers of a network up to a block, each reading what the one before it gives; named as in the network.

    torchvision's own `create_feature_extractor` traces the network, and while it does, no other thread of the process
    can run any: a service that loads a model would fail its requests.
    """

    def __init__(self, network: nn.Module, blocks: Sequence[str]) -> None:
        """`blocks` are the submodules whose maps are given, in their order: children of one parent."""
        super().__init__()
        self._folder, _, last = blocks[-1].rpartition(".")
        self._read = [name.rpartition(".")[2] for name in blocks]
        children = dict(network.get_submodule(self._folder).named_children())
        names = list(children)
        layers = {name: children[name] for name in names[: names.index(last) + 1]}
        if self._folder:
            self.add_module(self._folder, nn.Sequential(OrderedDict(layers)))
        else:
            for name, layer in layers.items():
                self.add_module(name, layer)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps (B, F, h, w) of the blocks for the input (B, C, H, W)."""
        maps = []
        for name, layer in self.get_submodule(self._folder).named_children():
            x = layer(x)
            if name in self._read:
                maps.append(x)
        return maps


class HeadOnMiddleBlocks(nn.Module):
    """The layers of a network but its last block, and a linear head on the two blocks before."""

    def __init__(self, network: nn.Module, blocks: dict[str, int]) -> None:
        """`blocks` are the submodules of `network` whose maps are read, with the channels of each; the last is last."""
        super().__init__()
        self.backbone = Trunk(network, list(blocks))
        self.last_map = nn.Identity()  # where Grad-CAM reads it
        self.head = nn.Linear(sum(blocks.values()), len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 3) for the input (B, C, H, W)."""
        first, second = self.backbone(x)  # (B, F, h, w) each
        maps = [first, self.last_map(second)]
        logits: Tensor = self.head(torch.cat([one.mean((2, 3)) for one in maps], dim=1))
        return logits


def has_head_input(architecture: CinArchitecture, head_input: HeadInput) -> bool:
    """Return whether the architecture has the blocks that this head reads."""
    return head_input == "last_block" or bool(ARCHITECTURES[architecture].middle_blocks)


def with_head(network: nn.Module, architecture: CinArchitecture, head_input: HeadInput) -> nn.Module:
    """Return `network` as it is, or its layers with a new head on its middle blocks."""
    return (
        network
        if head_input == "last_block"
        else HeadOnMiddleBlocks(network, ARCHITECTURES[architecture].middle_blocks)
    )


def parts_of(architecture: CinArchitecture, head_input: HeadInput) -> Architecture:
    """Return the architecture with the names of its parts as they are `with_head`."""
    known = ARCHITECTURES[architecture]
    if head_input == "last_block":
        return known
    backbone = tuple(tuple(f"{BACKBONE}.{name}" for name in level) for level in known.levels[2:])
    return replace(
        known,
        first_layer=f"{BACKBONE}.{known.first_layer}",
        levels=((HEAD,), *backbone),
        linear=HEAD,
        last_features=LAST_MAP,
    )
