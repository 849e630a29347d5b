"""What can be chosen of the method, by the names that parameters have. To read parameters, nothing heavy is needed."""

from typing import Final, Literal

Latent = Literal["pyramid", "coarsest"]
"""Z = E(X): all levels of the pyramid, or its coarsest alone."""

COARSEST_STRIDE: Final = 8
"""Image sides must be multiples of this: the pyramid halves them three times."""

CinInput = Literal["residual_tensor", "healthy_residual", "pneumonia_residual", "image", "residual_tensor_and_image"]
"""What the CIN reads."""

Precision = Literal["fp32", "bf16"]
"""Number formats of a network's pass: float32, or bfloat16 by autocast."""

PrecisionChoice = Literal["auto", Precision]
"""A number format; `auto` takes the one that the hardware computes with."""

PRECISION_KEY: Final = "training.precision"
"""What the metadata of trained weights calls the number format that they were trained in, and MLflow its tag."""

TotalVariation = Literal["isotropic", "anisotropic"]
"""How a mask's roughness is counted."""
