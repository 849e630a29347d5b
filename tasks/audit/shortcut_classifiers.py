"""Simple classifiers as baselines: trained on the cells of each view, or on a column of the manifest without images.

A network that was trained on whole images scores less on masked ones partly because they are unfamiliar. A classifier
that is trained on the view itself shows how much the view reveals of the class, whether or not the network uses it.
"""

from collections.abc import Callable
from typing import Literal

from coronet_core.audits.masking import View, cells, read_by_view
from coronet_core.audits.skill import ViewFigures
from coronet_core.common.seeds import derive_seed
from coronet_core.data import shortcuts
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
    return images.figures(shortcuts.looked_up(known.to_numpy(), images.train["label"].to_numpy(), asked.to_numpy()))


def _forest_seed(images: AuditImages) -> int:
    return derive_seed(images.seed, "forest") % 2**32  # scikit-learn takes 32 bits
