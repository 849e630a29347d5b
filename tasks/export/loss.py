"""What an exported file loses against the network in fp32."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.metrics.arrays import Floats
from tasks.export.images import KnownImages, Session

BATCH_IMAGES: Final = 16


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The file's answers beside those of the network."""

    images: int
    origin: str
    """Whose images they are."""
    accuracy: float | None
    """Of the file; None for images without a truth."""
    accuracy_in_fp32: float | None
    other_labels: int
    """Images for which the file's most probable class is another."""
    largest_difference: float
    """Of a calibrated probability."""
    mean_difference: float


def measure(file: Session, network: Session, images: KnownImages) -> Loss:
    """Ask both about `images`, some at a time."""
    parts = [(file(batch), network(batch)) for batch in images.batches(BATCH_IMAGES)]
    found, expected = (np.concatenate(side) for side in zip(*parts, strict=True))  # (n, 3) each
    differences = np.abs(found - expected)
    return Loss(
        images=len(images),
        origin=images.origin,
        accuracy=_accuracy(found, images.truth),
        accuracy_in_fp32=_accuracy(expected, images.truth),
        other_labels=int((found.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
    )


def _accuracy(probabilities: Floats, truth: NDArray[np.int64] | None) -> float | None:
    return None if truth is None else float((probabilities.argmax(axis=1) == truth).mean())
