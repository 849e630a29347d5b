"""Images that are the same to the eye: saved again, resized, brightened, trimmed by a hair.

Two steps. The perceptual hash (pHash: the signs of an image's lowest frequencies) proposes pairs that differ in at
most `MAX_DISTANCE` of 64 bits. Cut into one more band than that, such a pair agrees in at least one whole band, so
only images with an equal band are compared: of X-rays, 7 pairs in 100. The pixels decide: of two chests the coarse
shape correlates highly anyhow, but only of one and the same image the fine structure does.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

HASH_BITS = 64
MAX_DISTANCE = 6
MIN_CORRELATION = 0.80
"""Of 6,895 public X-rays, pairs of one image reach 0.80 to 1.00 and others, follow-ups included, stay below."""
THUMBNAIL_PX = 64
FINE_SIGMA_PX = 4.0
"""Structure coarser than this, in pixels of the thumbnail, is taken out before images are compared."""
IMAGES_AT_ONCE = 64
PAIRS_AT_ONCE = 1024
CELLS_AT_ONCE = 4_000_000

Pairs = NDArray[np.int64]  # (m, 2)
Images = NDArray[np.uint8]  # (n, H, W)


def near_duplicates(hashes: list[str], images_at: Callable[[NDArray[np.int64]], Images]) -> Pairs:
    """Return the pairs (m, 2) of positions in `hashes` (64 bits in hexadecimal) whose images show the same.

    `images_at` returns the images at given positions; only those of proposed pairs are asked for.
    """
    proposed = candidates(np.array([int(text, 16) for text in hashes], dtype=np.uint64))
    shows_the_same = [np.empty(0, dtype=bool)]
    for start in range(0, len(proposed), PAIRS_AT_ONCE):
        pairs = proposed[start : start + PAIRS_AT_ONCE]
        members, places = np.unique(pairs, return_inverse=True)
        fine = _fine_structures(members, images_at)
        first, second = places.reshape(pairs.shape).T
        shows_the_same.append((fine[first] * fine[second]).sum(1) >= MIN_CORRELATION)
    same: Pairs = proposed[np.concatenate(shows_the_same)]
    return same


def _fine_structures(
    positions: NDArray[np.int64], images_at: Callable[[NDArray[np.int64]], Images]
) -> NDArray[np.float32]:
    """Return the fine structure of the images at `positions`, of which few at a time are held at their full size."""
    fine = np.empty((len(positions), THUMBNAIL_PX**2), dtype=np.float32)
    for start in range(0, len(positions), IMAGES_AT_ONCE):
        for number, image in enumerate(images_at(positions[start : start + IMAGES_AT_ONCE]), start):
            fine[number] = fine_structure(image)
    return fine


def candidates(hashes: NDArray[np.uint64]) -> Pairs:
    """Return all pairs (m, 2), first position below second, whose hashes differ in at most `MAX_DISTANCE` bits."""
    found = [np.empty((0, 2), dtype=np.int64)]
    n_bands = MAX_DISTANCE + 1
    for first in range(n_bands):
        # Every seventh bit: all chests agree in the coarsest frequencies, which are neighbours.
        band = hashes & np.uint64(sum(1 << bit for bit in range(first, HASH_BITS, n_bands)))
        order = np.argsort(band, kind="stable")
        ends = np.flatnonzero(np.diff(band[order])) + 1
        for bucket in np.split(order, ends):
            found += _close_pairs(hashes, bucket)
    return np.unique(np.concatenate(found), axis=0)  # a pair may agree in several bands


def _close_pairs(hashes: NDArray[np.uint64], bucket: NDArray[np.int64]) -> Iterator[Pairs]:
    rows_at_once = max(1, CELLS_AT_ONCE // len(bucket))
    for start in range(0, len(bucket), rows_at_once):
        rows = bucket[start : start + rows_at_once]
        distance = np.bitwise_count(hashes[rows][:, None] ^ hashes[bucket])
        first, second = np.nonzero(distance <= MAX_DISTANCE)
        later = second > first + start
        yield np.sort(np.stack([rows[first[later]], bucket[second[later]]], axis=1), axis=1)


def fine_structure(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fine structure of an image (H, W) as a vector of zero mean and unit length (THUMBNAIL_PX ** 2,).

    Grey values are replaced by their ranks first: brightness and contrast then make no difference.
    """
    thumbnail = Image.fromarray(image).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    ranks = rankdata(np.asarray(thumbnail)).reshape(THUMBNAIL_PX, THUMBNAIL_PX)
    fine = (ranks - gaussian_filter(ranks, FINE_SIGMA_PX)).ravel()
    fine -= fine.mean()
    return np.asarray(fine / (np.linalg.norm(fine) or 1.0), dtype=np.float32)
