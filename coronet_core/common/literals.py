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

CinArchitecture = Literal[
    "resnet18", "resnet50", "densenet121", "inception_v3", "efficientnet_b0", "convnext_tiny", "dark_covid_net"
]
"""The network that classifies. The paper's is resnet18."""

Fusion = Literal["planes", "networks"]
"""How image and residual tensor are read together: by one network, as four channels, or by one network each."""

FineTune = Literal["all", "last_block", "head"]
"""The layers of the CIN that are trained: all, the last block of convolutions and the head, or the head alone."""

HeadInput = Literal["last_block", "middle_blocks"]
"""The maps that the head reads, averaged over the image: of the last block (paper), or of the two before it."""

HeadStart = Literal["random", "logistic_regression"]
"""What the head begins with: random weights, or the best ones for the features that the layers before it give."""

Optimizer = Literal["adam", "adamw"]
"""Adam, whose weight decay is part of the gradient, or AdamW, which applies it to the weights."""

LearningRateSchedule = Literal["constant", "cosine"]
"""The learning rate over the epochs: the same, or falling to 0 by half a cosine."""

KeptWeights = Literal["best", "last", "average"]
"""Which weights a training ends with: the best epoch's, the last one's, or the average of the second half's."""

MemberImages = Literal["all", "folds"]
"""What each member of an ensemble is trained on: all training images, or all folds of them but one."""

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
