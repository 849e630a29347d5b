"""The test images one by one, with what the network says of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from coronet_core.common.classes import ClassName
from coronet_core.support.tables import read_frame
from tasks.explain.gallery_choice import least_certain, most_confident_errors
from tasks.runtime.paths import PREDICTIONS

MAX_LISTED: Final = 500
"""Rows of the table in the page; `reports/predictions.parquet` has all of them."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A test image and its prediction."""

    stack_row: int
    """Position in the stack of images."""
    image_id: str
    projection: str | None
    """PA, AP or another; None if unknown."""
    label: ClassName
    predicted: ClassName
    probability: float
    """Calibrated, of the predicted class."""
    prediction_set: tuple[ClassName, ...]
    is_abstained: bool
    """Whether it needs a human reader: the prediction set is not exactly one class."""
    ood_score: float
    is_out_of_distribution: bool

    @property
    def is_error(self) -> bool:
        """Whether the prediction is not the label."""
        return self.predicted != self.label


def read_cases(ood_threshold: float) -> list[Case]:
    """Return all test images: errors, the most confident one first, then the others, the least certain one first.

    An image whose score exceeds `ood_threshold` is out of distribution.
    """
    predictions = read_frame(PREDICTIONS)
    errors = most_confident_errors(predictions)
    others = least_certain(predictions.drop(index=errors.index))
    return [_case(row, ood_threshold) for part in (errors, others) for row in part.to_dict("records")]


def listed(cases: Sequence[Case]) -> list[Case]:
    """Return the cases that the page lists: of more than it has room for, errors and abstentions before the others."""
    urgent_first = sorted(cases, key=lambda case: not (case.is_error or case.is_abstained))
    return urgent_first[:MAX_LISTED]


def _case(row: Mapping[Any, Any], ood_threshold: float) -> Case:
    return Case(
        stack_row=row["stack_row"],
        image_id=row["image_id"],
        projection=row["view"] if isinstance(row["view"], str) else None,  # pandas reads NaN
        label=row["label"],
        predicted=row["predicted"],
        probability=row[f"calibrated_{row['predicted']}"],
        prediction_set=tuple(row["prediction_set"]),
        is_abstained=row["abstained"],
        ood_score=row["ood_score"],
        is_out_of_distribution=row["ood_score"] > ood_threshold,
    )
