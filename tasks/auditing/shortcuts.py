"""What simple classifiers make of the test images: of each view's cells, and of columns of the manifest without images.

A network that was trained on whole images scores less on masked ones partly because they are unfamiliar. A classifier
that is trained on the view itself has no such excuse: it says how much of the class a view holds, whether the network
uses it or not.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd

from coronet_core.audits.masking import View
from coronet_core.audits.skill import ViewFigures
from coronet_core.audits.views import cells, read_by_view
from coronet_core.data import shortcuts
from coronet_core.seeds import derive_seed
from tasks.auditing.images import AuditImages


def by_cells(images: AuditImages, on_images: Callable[[int], object]) -> dict[View, ViewFigures]:
    """Return what a random forest scores on each view, trained on that view of the training images."""
    seen = read_by_view(cells, images.batches(images.train), images.regions, on_images)
    asked = read_by_view(cells, images.batches(images.test), images.regions, on_images)
    labels = images.train["label"].to_numpy()
    return {
        view: images.figures(shortcuts.predicted(seen[view], labels, asked[view], _forest_seed(images)))
        for view in seen
    }


def by_column(images: AuditImages, column: Literal["source", "view"]) -> ViewFigures | None:
    """Return what a random forest scores that knows a column of the manifest; None if the column has one value."""
    both = pd.concat([images.train, images.test])
    codes = shortcuts.features(both, None)[column]
    if len(np.unique(codes)) == 1:
        return None
    n_train = len(images.train)
    labels = images.train["label"].to_numpy()
    return images.figures(shortcuts.predicted(codes[:n_train], labels, codes[n_train:], _forest_seed(images)))


def _forest_seed(images: AuditImages) -> int:
    return derive_seed(images.seed, "forest") % 2**32  # scikit-learn takes 32 bits
