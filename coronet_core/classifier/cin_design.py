"""What a CIN is made of: its input, its architecture, its members. The metadata of its weights say it."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, get_args

from torch import nn

from coronet_core.classifier.architectures import ARCHITECTURES, Architecture, build_network
from coronet_core.classifier.ensemble import Ensemble, Member
from coronet_core.classifier.inputs import PLANES
from coronet_core.classifier.middle_blocks import has_head_input, parts_of, with_head
from coronet_core.common.literals import CinArchitecture, CinInput, Fusion, HeadInput
from coronet_core.support.errors import WeightsError

DESIGN_KEY: Final = "cin.design"
MAX_MEMBERS: Final = 64
MEMBER: Final = re.compile(r"members\.\d+\.")
"""What the keys of an ensemble's weights begin with."""


@dataclass(frozen=True, kw_only=True)
class CinDesign:
    """Everything that says which network the weights belong to. The defaults are the paper's."""

    input: CinInput = "residual_tensor"
    architecture: CinArchitecture = "resnet18"
    head_input: HeadInput = "last_block"
    fusion: Fusion = "planes"
    members: int = 1
    """Trained from different seeds; with fusion by networks, pairs of one for the image and one for the residuals."""
    average_flips: bool = False
    """Whether predictions are averaged over an input and its mirror image."""

    @property
    def inputs(self) -> list[CinInput]:
        """What each network reads, network by network."""
        of_a_member: list[CinInput] = ["image", "residual_tensor"] if self.fusion == "networks" else [self.input]
        return of_a_member * self.members

    @property
    def channels(self) -> list[list[int]]:
        """The channels of the CIN's input that each network reads, network by network."""
        planes = PLANES[self.input]
        return [[planes.index(plane) for plane in PLANES[read]] for read in self.inputs]

    @property
    def parts(self) -> Architecture:
        """The names of each network's parts."""
        return parts_of(self.architecture, self.head_input)

    @property
    def is_one_network(self) -> bool:
        """Whether the CIN is a plain network, as the paper's."""
        return len(self.inputs) == 1 and not self.average_flips

    def build(self) -> nn.Module:
        """Return the CIN untrained: (B, C, H, W) in, C = len(PLANES[input]); logits (B, 3) out."""
        plain = [build_network(ARCHITECTURES[self.architecture], len(channels)) for channels in self.channels]
        return self.of_networks([with_head(one, self.architecture, self.head_input) for one in plain])

    def of_networks(self, networks: list[nn.Module]) -> nn.Module:
        """Return the CIN made of `networks`, in the order of `inputs`."""
        if self.is_one_network:
            return networks[0]
        members = [Member(network, channels) for network, channels in zip(networks, self.channels, strict=True)]
        return Ensemble(members, average_flips=self.average_flips)

    def member_names(self) -> list[str]:
        """Return what the names of each network's modules begin with in the CIN."""
        return [""] if self.is_one_network else [f"members.{n}.network." for n in range(len(self.inputs))]

    def modules_by_level(self) -> dict[str, list[str]]:
        """Return the submodules of the CIN in levels from its output to its input, by a level's name."""
        prefixes = self.member_names()
        levels = self.parts.levels
        return {level[0]: [prefix + name for prefix in prefixes for name in level] for level in levels}

    def to_metadata(self) -> dict[str, str]:
        """Return the entry for the metadata of the weights."""
        return {DESIGN_KEY: json.dumps(asdict(self), sort_keys=True)}


def design_from(metadata: Mapping[str, str], given: CinInput, origin: str) -> CinDesign:
    """Return the design that the metadata of weights state; without one, the paper's network for the `given` input.

    `origin` names the file. Raises WeightsError for a design that this version does not know, or of another input.
    """
    if DESIGN_KEY not in metadata:
        return CinDesign(input=given)
    try:
        values = json.loads(metadata[DESIGN_KEY])
        design = CinDesign(**values)
        is_known = (
            design.architecture in get_args(CinArchitecture)
            and design.head_input in get_args(HeadInput)
            and has_head_input(design.architecture, design.head_input)
            and design.fusion in get_args(Fusion)
            and design.input in get_args(CinInput)
            and type(design.members) is int
            and 1 <= design.members <= MAX_MEMBERS
            and type(design.average_flips) is bool
            and (design.fusion == "planes" or design.input == "residual_tensor_and_image")
        )
    except (ValueError, TypeError):  # neither JSON nor these keys
        is_known = False
    if not is_known:
        raise WeightsError(
            f"{origin}: {DESIGN_KEY} in its metadata names a network that this version does not know. Use the version "
            "of CoroNet that wrote it, or train again (`coronet run`)."
        )
    if design.input != given:
        raise WeightsError(
            f"{origin}: trained on {design.input}, but cin.input is {given}. Train again (`coronet run`)."
        )
    return design


def require_networks(design: CinDesign, keys: Iterable[str], origin: str) -> None:
    """Raise WeightsError unless weights with these `keys` are of as many networks as their `design` names.

    To be asked before a design from outside is built: 64 networks take gigabytes, and metadata are quickly written.
    """
    members = {found[0] for key in keys if (found := MEMBER.match(key))}
    n_held = len(members) or 1
    if n_held != len(design.inputs):
        raise WeightsError(
            f"{origin}: its metadata names {len(design.inputs)} networks, but it holds {n_held}. Restore it, or train "
            "again (`coronet run`)."
        )
