"""The scale of the residual tensors, as the stages behind `materialize_residuals` and packages take it."""

from typing import Final

from coronet_core.autoencoder.residual_scale import ResidualScale, scale_from
from coronet_core.common.weights import read_metadata, read_weights, read_weights_from
from tasks.runtime.paths import RESIDUAL_SCALE

SCALE_KEY: Final = "residuals.scale"
"""What the metadata of the file call the kind of the scale."""
NO_SCALE: Final = "none"


def load_scale() -> ResidualScale | None:
    """Load the scale of the project in the current folder; None if it has none, as before there were scales."""
    if not RESIDUAL_SCALE.is_file() or read_metadata(RESIDUAL_SCALE).get(SCALE_KEY) == NO_SCALE:
        return None
    return scale_from(read_weights(RESIDUAL_SCALE), str(RESIDUAL_SCALE))


def scale_of_file(content: bytes, side_px: int | None = None) -> ResidualScale:
    """Load a scale from the content of its file, for images of `side_px`. Raises WeightsError if it is none."""
    return scale_from(read_weights_from(content, RESIDUAL_SCALE.name), RESIDUAL_SCALE.name, side_px)
