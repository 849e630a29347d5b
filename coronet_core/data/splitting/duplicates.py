"""The same image several times: byte for byte, pixel for pixel, or to the eye; and the groups that follow."""

from collections.abc import Callable, Iterator

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
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
KINDS = ("bytes", "pixels", "near")
CONTRADICTION = "duplicates with contradicting labels"


def perceptual_hash(pixels: NDArray[np.uint8]) -> str:
    """Return the pHash of `pixels` (H, W): 64 bits in hexadecimal, few of which differ between near duplicates."""
    return str(imagehash.phash(Image.fromarray(pixels)))


def near_duplicates(
    hashes: list[str], images_at: Callable[[NDArray[np.int64]], Images], n_first: int | None = None
) -> Pairs:
    """Return the pairs (m, 2) of positions in `hashes` (64 bits in hexadecimal) whose images show the same.

    `images_at` returns the images at given positions; only those of proposed pairs are asked for. With `n_first`, the
    images are of two sets, and only pairs of one of the first `n_first` and one of the others are looked for.
    """
    proposed = candidates(np.array([int(text, 16) for text in hashes], dtype=np.uint64))
    if n_first is not None:
        proposed = proposed[(proposed[:, 0] < n_first) & (proposed[:, 1] >= n_first)]
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


def components(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the component (n,) of each of `n` things, given the connected `pairs` (m, 2) of them."""
    edges = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def pairs_of_equals(values: pd.Series) -> NDArray[np.int64]:
    """Return pairs (m, 2) of positions that connect all equal `values`: each with the first of its kind."""
    known = np.flatnonzero(values.notna())
    codes, _ = pd.factorize(values.iloc[known])
    _, first = np.unique(codes, return_index=True)
    return np.stack([known[first[codes]], known], axis=1)


def patient_groups(patients: pd.Series, clusters: NDArray[np.int64]) -> pd.Series:
    """Return the group of each image: the least id of all patients whom duplicate images connect with its patient.

    `clusters` (n,) numbers the images that show the same. Two patients with one image are the same person under two
    ids, or one of them is mislabelled; either way they must not be in two splits.
    """
    codes, names = pd.factorize(patients)
    first_of_cluster = pairs_of_equals(pd.Series(clusters))
    groups = components(len(names), codes[first_of_cluster])
    least = pd.Series(names).groupby(groups).min()
    return pd.Series(least.to_numpy()[groups[codes]], index=patients.index)


def mark_duplicates(manifest: pd.DataFrame, images_at: Callable[[NDArray[np.int64]], Images] | None) -> None:
    """Fill `patient_group`, `duplicate_of` and `duplicate_kind` of the accepted images of `manifest`, in place.

    Of images that show the same, the first is the original: one of a published test part before all others, else the
    first listed. `images_at` returns the images at given positions of the manifest; without it nothing was decoded
    and only byte-identical images are found.
    """
    accepted = np.flatnonzero(manifest["rejected_because"].isna())
    images = manifest.iloc[accepted]
    pairs = [pairs_of_equals(images["sha256"])]
    if images_at is not None:
        pairs += [pairs_of_equals(images["pixel_sha256"])]
        distinct = np.flatnonzero(~images["pixel_sha256"].duplicated())
        hashes = images["perceptual_hash"].iloc[distinct].tolist()
        near = near_duplicates(hashes, lambda positions: images_at(accepted[distinct[positions]]))
        pairs += [distinct[near]]
    clusters = components(len(images), np.concatenate(pairs))
    order = np.argsort((images["published_part"] != "test").to_numpy(), kind="stable")
    first = pd.Series(order).groupby(clusters[order]).first().to_numpy()[clusters]
    manifest.loc[images.index, "patient_group"] = patient_groups(images["patient_id"], clusters)
    again = first != np.arange(len(images))
    rows = images.index[again]
    manifest.loc[rows, "duplicate_of"] = images["image_id"].to_numpy()[first[again]]
    manifest.loc[rows, "duplicate_kind"] = _kinds(images, order)[again]


def _kinds(images: pd.DataFrame, order: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return how each image equals one before it in `order`; `near` for all that equal none exactly."""
    kinds = pd.Series("near", index=images.index)
    ordered = images.iloc[order]
    kinds.loc[ordered.index[ordered["pixel_sha256"].notna() & ordered["pixel_sha256"].duplicated()]] = "pixels"
    kinds.loc[ordered.index[ordered["sha256"].duplicated()]] = "bytes"
    return kinds.to_numpy()


def originals(manifest: pd.DataFrame) -> pd.Series:
    """Return the `image_id` of the original of each image, which those that show the same share."""
    return manifest["duplicate_of"].fillna(manifest["image_id"])


def contradictions(manifest: pd.DataFrame) -> pd.Series:
    """Return for each image whether one that shows the same has another label."""
    accepted = manifest["rejected_because"].isna()
    labels = manifest["label"].where(accepted).groupby(originals(manifest)).transform("nunique")
    return accepted & (labels > 1)


def drop_duplicates(manifest: pd.DataFrame) -> None:
    """Reject in `manifest`, in place, all but the original of each image; where labels contradict, the original too."""
    contradicting = contradictions(manifest)
    again = manifest["rejected_because"].isna() & manifest["duplicate_of"].notna()
    manifest.loc[again, "rejected_because"] = "duplicate"
    manifest.loc[contradicting, "rejected_because"] = CONTRADICTION
