"""What is done to the images and skips of a training step so that an autoencoder cannot just copy them.

- Noise (denoising autoencoders, Vincent et al. 2008): X + n, n Gaussian, cut off at 0 and 1.
- Hidden squares (as in masked autoencoders, He et al. 2022): squares of a grid, laid over X with a random shift, are
  filled with the image's mean.
- Skips that drop out: of each image each of the six skips is left out with a probability p, and divided by 1 - p
  otherwise.

The loss compares the reconstruction with the clean X. All draws come from the step's generator, for the whole batch: a
resumed training makes the same ones, and so does every rank.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from coronet_core.autoencoder.fpae import N_SKIPS


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """How training images are corrupted; the defaults leave them as they are, as the paper does."""

    noise: float = 0.0
    """Standard deviation of the noise, of grey values in [0, 1]."""
    hidden_fraction: float = 0.0
    """Probability of a square to be hidden."""
    hidden_patch_px: int = 16
    """Side of a square."""
    skip_dropout: float = 0.0
    """Probability of a skip to be left out, below 1."""


NONE: Final = Corruption()


@dataclass(frozen=True)
class Draws:
    """The random numbers of a step, on the device; None for what is not done."""

    noise: Tensor | None
    """(B, 1, H, W) float32 of deviation 1."""
    hidden: Tensor | None
    """(B, 1, H, W) bool."""
    skip_weights: Tensor | None
    """(B, 6) float32, 0 or 1 / (1 - p)."""


def draw(
    corruption: Corruption,
    n_images: int,
    size: tuple[int, int],
    rng: torch.Generator,
    own: Tensor,
    device: torch.device,
) -> Draws:
    """Draw for a batch of `n_images` of `size` (H, W), and return what is for the images `own` (B,) int64 of it."""
    noise = hidden = skip_weights = None
    if corruption.noise > 0:
        noise = torch.randn(n_images, 1, *size, generator=rng)[own]
    if corruption.hidden_fraction > 0:
        hidden = hidden_squares(corruption, n_images, size, rng)[own]
    if corruption.skip_dropout > 0:
        kept = torch.rand(n_images, N_SKIPS, generator=rng) >= corruption.skip_dropout
        skip_weights = kept[own].float() / (1 - corruption.skip_dropout)
    return Draws(*(None if drawn is None else drawn.to(device) for drawn in (noise, hidden, skip_weights)))


def hidden_squares(corruption: Corruption, n_images: int, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Return which pixels are hidden, (n_images, 1, H, W) bool: squares of a grid whose corner is drawn for each."""
    side = corruption.hidden_patch_px
    cells = [length // side + 2 for length in size]  # a grid shifted by less than a square covers the image
    chosen = torch.rand(n_images, *cells, generator=rng) < corruption.hidden_fraction
    shifts = torch.randint(0, side, (n_images, 2), generator=rng)  # (n, 2)
    rows, columns = ((torch.arange(size[i]) + shifts[:, i, None]) // side for i in (0, 1))  # (n, H), (n, W)
    image = torch.arange(n_images)[:, None, None]
    return chosen[image, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def corrupted(image: Tensor, draws: Draws, noise: float) -> Tensor:
    """Return `image`, (B, 1, H, W) in [0, 1], with noise of deviation `noise` and its hidden squares filled."""
    if draws.noise is not None:
        image = (image + noise * draws.noise).clamp(0, 1)
    if draws.hidden is not None:
        image = torch.where(draws.hidden, image.mean(dim=(2, 3), keepdim=True), image)
    return image
