"""Selection of the test images to explain."""

import hashlib

import numpy as np
import pandas as pd

from coronet_core.common.classes import CLASSES
from tasks.runtime.params.explain import ExplainParams


def choose(predictions: pd.DataFrame, manifest: pd.DataFrame, params: ExplainParams, seed: int) -> pd.DataFrame:
    """Choose images of each class at random, then further images with boxes that were classified correctly.

    A second image of a patient is chosen only when there are no further patients, as the intervals of the measures
    assume independent images. The order depends on the seed and the image ids alone, not on the rest of the split.
    Returns rows of the predictions with the columns `explained` (the class whose probability is explained: the
    predicted one), its `probability`, and `opacity_boxes` (left, top, right, bottom as fractions; may be empty).
    """
    boxes = [_listed(manifest["opacity_boxes"][row]) for row in predictions["stack_row"]]
    predictions = predictions.assign(
        opacity_boxes=pd.Series(boxes, index=predictions.index, dtype=object),
        explained=predictions["predicted"],
        probability=[row[f"probability_{row['predicted']}"] for _, row in predictions.iterrows()],
    )
    order = predictions["image_id"].map(lambda image_id: hashlib.sha256(f"{seed}/{image_id}".encode()).hexdigest())
    shuffled = predictions.iloc[np.argsort(order.to_numpy())]
    of_patient = shuffled.groupby(["label", "patient_group"]).cumcount()  # 0 for a patient's first image
    shuffled = shuffled.iloc[np.argsort(of_patient.to_numpy(), kind="stable")]
    parts = [shuffled[shuffled["label"] == label].head(params.images_per_class) for label in CLASSES]
    rest = shuffled.drop(index=pd.concat(parts).index)
    parts.append(rest[can_point(rest)].head(params.boxed_images))
    return pd.concat(parts, ignore_index=True)


def can_point(chosen: pd.DataFrame) -> pd.Series:
    """Return for each image whether it counts in the pointing game: it has boxes and was classified correctly."""
    return (chosen["opacity_boxes"].map(len) > 0) & (chosen["predicted"] == chosen["label"])


def _listed(boxes: object) -> list[list[float]]:
    """Boxes as Parquet gives them: nothing, or an array of arrays."""
    return [] if boxes is None else [[float(edge) for edge in box] for box in boxes]  # type: ignore[attr-defined]
