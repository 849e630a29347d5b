"""The number formats that the networks of the project in the current folder were trained in."""

from typing import Final

from coronet_core.common.literals import PRECISION_KEY, Precision
from coronet_core.common.weights import read_metadata
from tasks.runtime.paths import CIN_WEIGHTS, autoencoder_weights

FORMAT_NAMES: Final[dict[Precision, str]] = {"bf16": "bfloat16", "fp32": "float32"}
"""What people call them."""


def training_formats() -> dict[str, Precision]:
    """Return the format of each network, `AE_H`, `AE_P` and `CIN`, whose weights say it."""
    networks = {"AE_H": autoencoder_weights("healthy"), "AE_P": autoencoder_weights("pneumonia"), "CIN": CIN_WEIGHTS}
    written = {name: read_metadata(path).get(PRECISION_KEY) for name, path in networks.items()}
    return {name: known for name, value in written.items() for known in FORMAT_NAMES if value == known}
