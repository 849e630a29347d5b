"""Images for quantising and checking an exported file, and the comparison of its predictions with the network's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from coronet_core.common.classes import CLASSES, SplitName
from coronet_core.common.manifest import read_manifest
from coronet_core.common.shards import Shards
from coronet_core.data.sources import phantom
from coronet_core.metrics.arrays import Floats
from tasks.export.export_options import Pixels
from tasks.networks.residual_index import class_indices
from tasks.package.trained_model import TrainedModel
from tasks.runtime.paths import IMAGES, MANIFEST

Session = Callable[[NDArray[np.uint8]], Floats]
"""A runnable network or file: from images (B, 1, H, W) uint8 to calibrated probabilities (B, 3)."""
GREY_LEVELS: Final = 255
DRAWN_IMAGES: Final = 24
SEED: Final = 2020


def as_input(images: NDArray[np.uint8], pixels: Pixels) -> NDArray[Any]:
    """Return `images` in the input format `pixels`."""
    return images if pixels is Pixels.UINT8 else images.astype(np.float32) / np.float32(GREY_LEVELS)


@dataclass(frozen=True, kw_only=True)
class KnownImages:
    """Images of the model's size, read in batches."""

    origin: str
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    """From row numbers (B,) to images (B, H, W)."""
    rows: NDArray[np.int64]
    truth: NDArray[np.int64] | None
    """Class indices (n,) in the order of `rows`; None for images without labels."""

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the images, (at most `size`, 1, H, W) at a time."""
        for start in range(0, len(self), size):
            yield self.read(self.rows[start : start + size])[:, None]

    def spread(self, n: int) -> "KnownImages":
        """Return at most `n` images, evenly spaced."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(n, len(self))).round().astype(np.int64))
        return replace(self, rows=self.rows[chosen], truth=None if self.truth is None else self.truth[chosen])


def split_images(split: SplitName, model: TrainedModel) -> KnownImages | None:
    """Return a split's images of the project in this folder; None if there are none of the model's size."""
    if not MANIFEST.is_file():
        return None
    manifest = read_manifest(MANIFEST)
    chosen = manifest[manifest["split"] == split]
    stack = Shards.in_folder(IMAGES)
    if len(chosen) == 0 or stack.row_shape != (model.image_size_px, model.image_size_px):
        return None
    return KnownImages(
        origin=f"{split} images of this project",
        read=stack.take,
        rows=chosen.index.to_numpy(dtype=np.int64),
        truth=class_indices(chosen),
    )


def drawn_images(model: TrainedModel) -> KnownImages:
    """Draw phantoms for a model whose split is not here; they suffice to compare a file with the network."""
    names = [(CLASSES[i % len(CLASSES)], f"export-{i}") for i in range(DRAWN_IMAGES)]
    drawn = np.stack([phantom.draw(SEED, label, name, 0, model.image_size_px)[0] for label, name in names])
    return KnownImages(origin="phantoms", read=drawn.__getitem__, rows=np.arange(len(drawn)), truth=None)


BATCH_IMAGES: Final = 16


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Differences between the predictions of the file and of the network."""

    images: int
    origin: str
    """Where the images come from."""
    accuracy: float | None
    """Accuracy of the file; None for images without labels."""
    accuracy_in_fp32: float | None
    other_labels: int
    """Number of images for which the predicted class differs."""
    largest_difference: float
    """Largest difference of a calibrated probability."""
    mean_difference: float


def measure(file: Session, network: Session, images: KnownImages) -> Loss:
    """Compare both on `images`, in batches."""
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
