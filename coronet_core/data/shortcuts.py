"""How well things that are no lungs predict the label: source, projection, image border, file size.

DeGrave et al. 2021 showed that networks learn such shortcuts where data sets offer them. Here a cheap classifier sees
nothing but one of them. What it predicts, a network can predict without looking at the lungs.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName
from coronet_core.common.shards import Shards

FOLDS: Final = 5
MIN_FOLDS: Final = 2
BORDER_CELLS: Final = 16
"""The image is cut into this many cells a side; the outermost of them are its border."""
IMAGES_AT_ONCE: Final = 1024
CHANCE_AUC: Final = 0.5
TELLING_AUC: Final = 0.8
"""ROC-AUC from which on a class counts as recognisable."""


def features(images: pd.DataFrame, stack: Shards | None) -> dict[str, NDArray[np.float64]]:
    """Return what each shortcut's classifier sees of `images`, (n, k); without a `stack` what needs no pixels.

    `stack` holds the images in the order of the table, and may hold others behind them.
    """
    seen = {name: pd.factorize(images[name])[0].astype(np.float64)[:, None] for name in ("source", "view")}
    if stack is None:
        return seen
    size, width, height = (images[name].to_numpy(np.float64) for name in ("size_bytes", "width_px", "height_px"))
    seen["border"] = _borders(stack, len(images))
    seen["file_size"] = np.stack([size, width, height, size / (width * height)], axis=1)
    return seen


def _borders(stack: Shards, n_images: int) -> NDArray[np.float64]:
    is_border = np.ones((BORDER_CELLS, BORDER_CELLS), dtype=bool)
    is_border[1:-1, 1:-1] = False
    borders = []
    for start in range(0, n_images, IMAGES_AT_ONCE):
        rows = np.arange(start, min(start + IMAGES_AT_ONCE, n_images), dtype=np.int64)
        for image in stack.take(rows):
            cells = Image.fromarray(image).resize((BORDER_CELLS, BORDER_CELLS), Image.Resampling.BOX)
            borders.append(np.asarray(cells)[is_border])
    return np.array(borders, dtype=np.float64)


def recognisability(seen: NDArray[np.float64], images: pd.DataFrame, seed: int) -> dict[str, float] | None:
    """Return for each class the cross-validated ROC-AUC, against the rest, of a classifier that sees `seen` (n, k).

    Patients are kept apart in the folds. What is the same for all images is chance: there is nothing to learn from it.
    None if a class has too few patients to cross-validate.
    """
    labels, patients = images["label"].to_numpy(), images["patient_group"].to_numpy()
    rarest = images.groupby("label")["patient_group"].nunique().reindex(CLASSES, fill_value=0).min()
    n_folds = min(FOLDS, int(rarest))
    if n_folds < MIN_FOLDS:
        return None
    if (seen == seen[0]).all():
        return dict.fromkeys(CLASSES, CHANCE_AUC)
    probability = np.zeros((len(labels), len(CLASSES)))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for train, test in folds.split(seen, labels, patients):
        if seen.shape[1] == 1:
            probability[test] = looked_up(seen[train, 0], labels[train], seen[test, 0])
        else:
            probability[test] = predicted(seen[train], labels[train], seen[test], seed)
    return {label: float(roc_auc_score(labels == label, probability[:, i])) for i, label in enumerate(CLASSES)}


def predicted(
    seen: NDArray[np.float64], labels: NDArray[Any], seen_later: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Return the probabilities (m, 3) of images of which a cheap classifier sees `seen_later` (m, k).

    It learns from `seen` (n, k) of images with `labels` (n,). A class that is not among them gets probability 0.
    """
    model: Any = RandomForestClassifier(
        n_estimators=50,
        max_depth=8,
        min_samples_leaf=5,
        class_weight="balanced",
        random_state=seed,
        n_jobs=1,  # several threads would reset each other's filters of warnings, until each tree warns
    )
    model.fit(seen, labels)
    probability = np.zeros((len(seen_later), len(CLASSES)))
    probability[:, [CLASSES.index(label) for label in model.classes_]] = model.predict_proba(seen_later)
    return probability


def looked_up(known: NDArray[Any], labels: NDArray[Any], asked: NDArray[Any]) -> NDArray[np.float64]:
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


def shortcut_warnings(shortcuts: dict[str, dict[str, float] | None]) -> list[str]:
    """Return a sentence for each shortcut that predicts a class."""
    words = {"source": "source", "view": "projection", "border": "image border", "file_size": "file size"}
    predicted = {
        name: [label for label in CLASSES if by_class is not None and by_class[label] >= TELLING_AUC]
        for name, by_class in shortcuts.items()
    }
    return [
        f"From the {words[name]} alone, {_listed(shortcuts[name] or {}, labels)} can be recognised: a network can "
        "use it without looking at the lungs."
        for name, labels in predicted.items()
        if labels
    ]


def _listed(by_class: dict[str, float], labels: list[ClassName]) -> str:
    *others, last = [f"{DISPLAY_NAMES[label]} (ROC-AUC {by_class[label]:.2f})" for label in labels]
    return f"{', '.join(others)} and {last}" if others else last
