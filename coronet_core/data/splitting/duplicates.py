"""The same image several times: byte for byte, pixel for pixel, or nearly; and the groups that follow."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from coronet_core.data.splitting.near_duplicates import Images, near_duplicates


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


KINDS = ("bytes", "pixels", "near")
CONTRADICTION = "duplicates with contradicting labels"


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
    originals = pd.Series(order).groupby(clusters[order]).first().to_numpy()[clusters]
    manifest.loc[images.index, "patient_group"] = patient_groups(images["patient_id"], clusters)
    again = originals != np.arange(len(images))
    rows = images.index[again]
    manifest.loc[rows, "duplicate_of"] = images["image_id"].to_numpy()[originals[again]]
    manifest.loc[rows, "duplicate_kind"] = _kinds(images, order)[again]


def _kinds(images: pd.DataFrame, order: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return how each image equals one before it in `order`; `near` for all that equal none exactly."""
    kinds = pd.Series("near", index=images.index)
    ordered = images.iloc[order]
    kinds.loc[ordered.index[ordered["pixel_sha256"].notna() & ordered["pixel_sha256"].duplicated()]] = "pixels"
    kinds.loc[ordered.index[ordered["sha256"].duplicated()]] = "bytes"
    return kinds.to_numpy()


def contradictions(manifest: pd.DataFrame) -> pd.Series:
    """Return for each image whether one that shows the same has another label."""
    cluster = manifest["duplicate_of"].fillna(manifest["image_id"])
    accepted = manifest["rejected_because"].isna()
    labels = manifest["label"].where(accepted).groupby(cluster).transform("nunique")
    return accepted & (labels > 1)


def drop_duplicates(manifest: pd.DataFrame) -> None:
    """Reject in `manifest`, in place, all but the original of each image; where labels contradict, the original too."""
    contradicting = contradictions(manifest)
    again = manifest["rejected_because"].isna() & manifest["duplicate_of"].notna()
    manifest.loc[again, "rejected_because"] = "duplicate"
    manifest.loc[contradicting, "rejected_because"] = CONTRADICTION
