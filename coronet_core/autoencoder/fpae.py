"""The feature-pyramid autoencoder (FPAE), paper sec. 3.2, layer by layer as the authors released it.

An encoder trunk of three 3x3 convolutions (1 -> 8 -> 16 -> 32) feeds a pyramid: one shared stride-2 convolution
gives the levels 1/2, 1/4 and 1/8. A head of four convolutions (32 -> 24 -> 16 -> 12 -> 8), shared by all four
levels, makes 8 channels of each; upsampled and concatenated they are the latent Z. Three smoothing convolutions
and seven stride-1 transposed convolutions with skips from the trunk and the full-resolution head decode it.
53,659 parameters. `Architecture` says what can be left out of it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.autoencoder.architecture import PAPER, Architecture
from coronet_core.common.literals import LEVEL_STRIDES, Latent

TRUNK_CHANNELS = (1, 8, 16, 32)
HEAD_CHANNELS = (32, 24, 16, 12)  # and Z's
SMOOTH_CHANNELS = (16, 8, 8)  # behind Z's
N_SKIPS = 6
DECODER_CHANNELS = (8, 12, 16, 24, 32, 16, 8, 1)


class Autoencoding(NamedTuple):
    """What an autoencoder makes of a batch of images."""

    reconstruction: Tensor
    """X~ = F(X), (B, 1, H, W) float32 in (0, 1)."""
    latent: Tensor
    """Z = E(X): (B, 32, H, W) for the paper's pyramid, (B, 8, H/8, W/8) for its coarsest level."""


class Encoding(NamedTuple):
    """What the encoder hands to the decoder and to the regulariser."""

    pyramid: Tensor  # (B, L K, H, W), the L = 4 levels of K = 8 channels side by side
    coarsest: Tensor  # (B, K, H/8, W/8), the last level before upsampling
    skips: list[Tensor]  # pre-activations of conv1..conv6 at full resolution, or none


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

    def __init__(self, architecture: Architecture = PAPER) -> None:
        super().__init__()
        self.architecture = architecture
        self.norm = nn.BatchNorm2d(1)
        self.trunk = nn.ModuleList(ConvBlock(*pair) for pair in pairwise(TRUNK_CHANNELS))
        self.down = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        channels = (*HEAD_CHANNELS, architecture.latent_channels)
        self.head = nn.ModuleList(ConvBlock(*pair) for pair in pairwise(channels))

    def forward(self, image: Tensor) -> Encoding:
        has_skips, finest_stride = self.architecture.has_skips, self.architecture.finest_stride
        trunk, skips = _through(self.trunk, self.norm(image))  # (B, 32, H, W)
        levels: dict[int, Tensor] = {}  # by how often they are halved
        for halvings, stride in enumerate(LEVEL_STRIDES):
            if halvings > 0:
                trunk = self.down(trunk)  # (B, 32, H/2, W/2), then /4, /8
            if stride >= finest_stride or (stride == 1 and has_skips):
                levels[halvings], head_skips = _through(self.head, trunk)  # (B, 8, H, W), then /2, /4, /8
                skips += head_skips[:-1] if stride == 1 else []
        pyramid = torch.cat(
            [
                _upsampled(level, halvings)
                for halvings, level in levels.items()
                if LEVEL_STRIDES[halvings] >= finest_stride
            ],
            dim=1,
        )  # (B, 32, H, W)
        return Encoding(pyramid, levels[len(LEVEL_STRIDES) - 1], skips if has_skips else [])


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

    def __init__(self, architecture: Architecture = PAPER) -> None:
        super().__init__()
        self.architecture = architecture
        channels = (architecture.n_levels * architecture.latent_channels, *SMOOTH_CHANNELS)
        self.smooth = nn.Sequential(*(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(channels)))
        self.up = nn.ModuleList(TransposedConv(*pair) for pair in pairwise(DECODER_CHANNELS))

    def forward(self, pyramid: Tensor, skips: Sequence[Tensor], image: Tensor) -> Tensor:
        x = self.smooth(pyramid)  # (B, 8, H, W)
        *hidden, last = self.up
        if skips:
            for layer, skip in zip(hidden, reversed(skips), strict=True):
                x = functional.relu(layer(x) + skip)
        else:
            for layer in hidden:
                x = functional.relu(layer(x))
        # In float32 under autocast too: bfloat16 steps near 1 are as large as the residuals that the CIN reads.
        logit = last(x).float()
        return torch.sigmoid(logit + image if self.architecture.adds_image else logit)  # (B, 1, H, W)


class FPAE(nn.Module):
    """F_c of eq. (3): the autoencoder of one class.

    `latent` chooses which Z eq. (4) compares: "pyramid" is the paper's "concatenating the features from different
    resolutions", "coarsest" the 1/8 level alone, as in the authors' code. The weights do not depend on it, but on the
    `architecture`.
    """

    def __init__(self, latent: Latent = "pyramid", architecture: Architecture = PAPER) -> None:
        super().__init__()
        self.latent = latent
        self.architecture = architecture
        self.encoder = Encoder(architecture)
        self.decoder = Decoder(architecture)

    def forward(self, image: Tensor, skip_weights: Tensor | None = None) -> Autoencoding:
        """Reconstruct `image`, (B, 1, H, W) float in [0, 1], H and W multiples of 8.

        `skip_weights`, (B, 6), multiply the skips of each image from conv1 to conv6, so 0 drops one; for
        architectures with skips only.
        """
        encoding = self.encoder(image)
        skips = encoding.skips
        if skip_weights is not None:
            weights = skip_weights.to(skips[0].dtype)[..., None, None, None]  # (B, 6, 1, 1, 1)
            skips = [skip * weights[:, i] for i, skip in enumerate(skips)]
        return Autoencoding(self.decoder(encoding.pyramid, skips, image), self._latent_of(encoding))

    def encode(self, image: Tensor) -> Tensor:
        """Return Z of `image` without decoding it: all that the regulariser needs of a reconstruction."""
        return self._latent_of(self.encoder(image))

    def _latent_of(self, encoding: Encoding) -> Tensor:
        return encoding.pyramid if self.latent == "pyramid" else encoding.coarsest
