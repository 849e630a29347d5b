"""Connected groups: images that show the same, patients who share an image."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


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
