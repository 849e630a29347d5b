"""What can be chosen of the method and of the data rules, by the names that parameters have; light to import."""

from enum import StrEnum
from typing import Final, Literal

Latent = Literal["pyramid", "coarsest"]
"""Z = E(X): all levels of the pyramid, or its coarsest alone."""

COARSEST_STRIDE: Final = 8
"""Image sides must be multiples of this: the pyramid halves them three times."""

LEVEL_STRIDES: Final = (1, 2, 4, COARSEST_STRIDE)
"""Of the pyramid's levels, the full resolution first."""

MAX_LATENT_CHANNELS: Final = 64
"""Of Z at each level."""

CinInput = Literal["residual_tensor", "healthy_residual", "pneumonia_residual", "image", "residual_tensor_and_image"]
"""What the CIN reads."""

ResidualScaling = Literal["none", "standardised", "z_map"]
"""How residual tensors are brought to a scale before the CIN reads them."""

Precision = Literal["fp32", "bf16"]
"""Number formats of a network's pass: float32, or bfloat16 by autocast."""

PrecisionChoice = Literal["auto", Precision]
"""A number format; `auto` takes the one that the hardware computes with."""

PRECISION_KEY: Final = "training.precision"
"""What the metadata of trained weights calls the number format that they were trained in, and MLflow its tag."""

TotalVariation = Literal["isotropic", "anisotropic"]
"""How a mask's roughness is counted."""

CountedBy = Literal["image", "box"]
"""Whether the rows of RSNA's label file count as images or as boxes."""


class Aspect(StrEnum):
    """How images that are not square become square."""

    STRETCH = "stretch"
    """Both sides are scaled to the square, each by its own factor, as COVIDx does."""
    CROP = "crop"
    """The middle square is kept."""
    PAD = "pad"
    """Black is added on the shorter sides."""


class Leaks(StrEnum):
    """How patients in both parts of a published split are handled."""

    REFUSE = "refuse"
    """The build stops and names them."""
    REPAIR = "repair"
    """The test part stays as published; the training part loses their images."""
    KEEP = "keep"
    """They stay in both, for comparison with published figures only."""


Reading = Literal[1, 2]
"""The version of the rule by which a file's values become grey. 1: 8-bit values as they are, deeper ones from the
darkest to the brightest. 2: values of any depth between robust limits (grey.py), faulty optional attributes passed
over."""
