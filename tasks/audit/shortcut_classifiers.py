"""Simple classifiers as baselines: trained on the cells of each view, or on a column of the manifest without images.

A network that was trained on whole images scores less on masked ones partly because they are unfamiliar. A classifier
that is trained on the view itself shows how much the view reveals of the class, whether or not the network uses it.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coronet_core.audits.masking import View, cells, read_by_view
from coronet_core.audits.skill import ViewFigures
from coronet_core.common.classes import CLASSES
from coronet_core.common.seeds import derive_seed
from coronet_core.data import shortcuts
from coronet_core.metrics.arrays import Floats
from tasks.audit.audited_images import AuditImages


def by_cells(images: AuditImages, on_images: Callable[[int], object]) -> dict[View, ViewFigures]:
    """Return the figures of a random forest on each view, trained on that view of the training images."""
    seen = read_by_view(cells, images.batches(images.train), images.regions, on_images)
    asked = read_by_view(cells, images.batches(images.test), images.regions, on_images)
    labels = images.train["label"].to_numpy()
    return {
        view: images.figures(shortcuts.predicted(seen[view], labels, asked[view], _forest_seed(images)))
        for view in seen
    }


def by_column(images: AuditImages, column: Literal["source", "view"]) -> ViewFigures | None:
    """Return the figures of a look-up by a column of the manifest; None if the column has a single value."""
    known, asked = (rows[column].astype(object).fillna("") for rows in (images.train, images.test))
    if len({*known, *asked}) == 1:
        return None
    return images.figures(looked_up(known.to_numpy(), images.train["label"].to_numpy(), asked.to_numpy()))


def looked_up(known: NDArray[np.object_], labels: NDArray[np.object_], asked: NDArray[np.object_]) -> Floats:
    """Return class probabilities (m, 3) for the values `asked` (m,): the class frequencies of each value.

    The frequencies are those among the values `known` (n,) of images with `labels` (n,), with classes weighted to the
    same size; for an unknown value the classes are equally probable.
    """
    of_class = [known[labels == label] for label in CLASSES]
    prior = np.array([len(values) > 0 for values in of_class], dtype=np.float64)
    table = {}
    for value in {*known}:
        shares = np.array([(values == value).mean() if len(values) else 0.0 for values in of_class])
        table[value] = shares / shares.sum()
    return np.array([table.get(value, prior / prior.sum()) for value in asked])


def _forest_seed(images: AuditImages) -> int:
    return derive_seed(images.seed, "forest") % 2**32  # scikit-learn takes 32 bits
