"""The feature-pyramid autoencoder (FPAE), paper sec. 3.2, layer by layer as the authors released it.

An encoder trunk of three 3x3 convolutions (1 -> 8 -> 16 -> 32) feeds a pyramid: one shared stride-2 convolution
gives the levels 1/2, 1/4 and 1/8. A head of four convolutions (32 -> 24 -> 16 -> 12 -> 8), shared by all four
levels, makes 8 channels of each; upsampled and concatenated they are the latent Z. Three smoothing convolutions
and seven stride-1 transposed convolutions with skips from the trunk and the full-resolution head decode it.
53,659 parameters.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.common.literals import Latent

TRUNK_CHANNELS = (1, 8, 16, 32)
HEAD_CHANNELS = (32, 24, 16, 12, 8)
SMOOTH_CHANNELS = (32, 16, 8, 8)
DECODER_CHANNELS = (8, 12, 16, 24, 32, 16, 8, 1)


class Autoencoding(NamedTuple):
    """What an autoencoder makes of a batch of images."""

    reconstruction: Tensor
    """X~ = F(X), (B, 1, H, W) float32 in (0, 1)."""
    latent: Tensor
    """Z = E(X): (B, 32, H, W) for the pyramid, (B, 8, H/8, W/8) for its coarsest level."""


class Encoding(NamedTuple):
    """What the encoder hands to the decoder and to the regulariser."""

    pyramid: Tensor  # (B, 32, H, W), the four levels side by side
    coarsest: Tensor  # (B, 8, H/8, W/8), the last level before upsampling
    skips: list[Tensor]  # pre-activations of conv1..conv6 at full resolution


class ConvBlock(nn.Module):
    """3x3 convolution, ReLU, batch norm; the convolution's own output is the skip."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.conv(x)
        return self.norm(functional.relu(skip)), skip


def _through(blocks: nn.ModuleList, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    skips = []
    for block in blocks:
        x, skip = block(x)
        skips.append(skip)
    return x, skips


def _upsampled(level: Tensor, halvings: int) -> Tensor:
    for _ in range(halvings):  # step by step: one jump of 4 or 8 would interpolate differently
        level = functional.interpolate(level, scale_factor=2, mode="bilinear", align_corners=False)
    return level


class Encoder(nn.Module):
    """E of eq. (1): image to feature pyramid."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.trunk = nn.ModuleList(ConvBlock(*pair) for pair in pairwise(TRUNK_CHANNELS))
        self.down = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.head = nn.ModuleList(ConvBlock(*pair) for pair in pairwise(HEAD_CHANNELS))

    def forward(self, image: Tensor) -> Encoding:
        trunk, trunk_skips = _through(self.trunk, self.norm(image))  # (B, 32, H, W)
        full, head_skips = _through(self.head, trunk)  # (B, 8, H, W)
        levels = [full]
        for _ in range(3):
            trunk = self.down(trunk)  # (B, 32, H/2, W/2), then /4, /8
            levels.append(_through(self.head, trunk)[0])
        pyramid = torch.cat([_upsampled(level, i) for i, level in enumerate(levels)], dim=1)  # (B, 32, H, W)
        return Encoding(pyramid, levels[-1], trunk_skips + head_skips[:-1])


class TransposedConv(nn.ConvTranspose2d):
    """3x3 transposed convolution of stride 1, computed as what it is: a convolution with the mirrored kernel.

    The same numbers forwards; backwards the CPU's kernels for it take two thirds of the time.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002  # stride 1 has one size
        return functional.conv2d(x, self.weight.flip(2, 3).transpose(0, 1), self.bias, padding=1)


class Decoder(nn.Module):
    """D of eq. (1): feature pyramid to the logit of the image, to which the image itself is added."""

    def __init__(self) -> None:
        super().__init__()
        self.smooth = nn.Sequential(*(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(SMOOTH_CHANNELS)))
        self.up = nn.ModuleList(TransposedConv(*pair) for pair in pairwise(DECODER_CHANNELS))

    def forward(self, pyramid: Tensor, skips: Sequence[Tensor], image: Tensor) -> Tensor:
        x = self.smooth(pyramid)  # (B, 8, H, W)
        *hidden, last = self.up
        for layer, skip in zip(hidden, reversed(skips), strict=True):
            x = functional.relu(layer(x) + skip)
        # In float32 under autocast too: bfloat16 steps near 1 are as large as the residuals that the CIN reads.
        return torch.sigmoid(last(x).float() + image)  # (B, 1, H, W)


class FPAE(nn.Module):
    """F_c of eq. (3): the autoencoder of one class.

    `latent` chooses which Z eq. (4) compares: "pyramid" is the paper's "concatenating the features from different
    resolutions", "coarsest" the 1/8 level alone, as in the authors' code. The weights do not depend on it.
    """

    def __init__(self, latent: Latent = "pyramid") -> None:
        super().__init__()
        self.latent = latent
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, image: Tensor) -> Autoencoding:
        """Reconstruct `image`, (B, 1, H, W) float in [0, 1], H and W multiples of 8."""
        encoding = self.encoder(image)
        return Autoencoding(self.decoder(encoding.pyramid, encoding.skips, image), self._latent_of(encoding))

    def encode(self, image: Tensor) -> Tensor:
        """Return Z of `image` without decoding it: all that the regulariser needs of a reconstruction."""
        return self._latent_of(self.encoder(image))

    def _latent_of(self, encoding: Encoding) -> Tensor:
        return encoding.pyramid if self.latent == "pyramid" else encoding.coarsest
