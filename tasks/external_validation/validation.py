"""The full evaluation of a trained model on labelled images from elsewhere. Nothing is fitted on them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import torch

from coronet_core.common.classes import ClassName
from coronet_core.common.seeds import derive_seed
from coronet_core.data.splitting.duplicates import drop_duplicates
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted
from tasks.calibrate.split_predictions import DISAGREEMENT, SplitPredictions
from tasks.evaluate.all_figures import all_figures, class_warnings
from tasks.evaluate.curves import Curves, curves_of
from tasks.external_validation.image_tables import image_counts, left_out_table, prediction_table, short_reason
from tasks.external_validation.internal_test import InternalTest, conclusions, figures_beside, notes_on
from tasks.external_validation.labelled_folder import MIN_IMAGES, LabelledFolder
from tasks.external_validation.labelled_images import LabelledImages, read_labelled
from tasks.external_validation.masked_views import masked_views
from tasks.external_validation.overlap import leave_out_overlap
from tasks.external_validation.tested_model import TestedModel
from tasks.external_validation.training_images import TrainingImages
from tasks.inference.batch import inference_device
from tasks.inference.predictor import NOT_FINITE, Networks
from tasks.networks.residual_index import ENERGY_COLUMNS, class_indices
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import nulls_for_nan
from tasks.runtime.params.schema import AuditParams, EvaluateParams
from tasks.runtime.progress import Progress

STAGE: Final = "evaluate"
"""Random numbers are those of the stage, so that the same images have the same intervals."""
IMAGES_AT_ONCE: Final = 256
OWN_TEST: Final = "images are of the model's own test split. They are kept, but they are not from elsewhere."


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What an external validation has found."""

    summary: dict[str, Any]
    """The content of `validation.json`."""
    curves: Mapping[ClassName, Curves]
    predictions: pd.DataFrame
    """A row per image that counts."""
    left_out: pd.DataFrame
    """A row per image that does not, with the reason."""

    @classmethod
    def of(cls, folder: LabelledFolder, tested: TestedModel, work: Path) -> Self:
        """Validate the model on the images of `folder`. What a killed run has left in the folder `work` is taken.

        Raises DataError if fewer than MIN_IMAGES are left.
        """
        use_cpu_threads(share=1)
        params, seed = tested.section(STAGE, EvaluateParams), derive_seed(tested.seed, STAGE)
        audit = tested.section("audit", AuditParams)
        images = read_labelled(folder, tested, work)
        overlap = leave_out_overlap(images, TrainingImages.of(tested))
        drop_duplicates(images.rows)
        networks = Networks.of(tested.model, torch.device(inference_device()))
        predictions = _predicted(images, networks)
        metrics = nulls_for_nan(all_figures(predictions, tested.model.calibration, params, seed))
        internal = InternalTest.of(tested)
        figures = figures_beside(metrics, predictions, internal, params, seed)
        warnings = [
            *class_warnings(predictions, "image", "Add images of it."),
            *([f"{overlap.own_test_images} {OWN_TEST}"] if overlap.own_test_images else []),
            *tested.model.calibration.warnings,
        ]
        summary = {
            "folder": folder.name,
            "model": {"name": tested.name, "digest": tested.model.digest},
            "images": image_counts(folder, images),
            "overlap": asdict(overlap) | {"left_out": overlap.left_out},
            "evaluate": asdict(params),
            "metrics": metrics,
            "figures": figures,
            "internal_test": None if internal is None else internal.metrics,
            "audit": masked_views(images, predictions, networks, audit, params, derive_seed(tested.seed, "audit")),
            "conclusions": [] if internal is None else conclusions(figures),
            "notes": [*overlap.notes, *notes_on(internal)],
            "warnings": warnings,
        }
        return cls(
            summary=summary,
            curves=curves_of(predictions, params),
            predictions=prediction_table(predictions, tested.model.calibration),
            left_out=left_out_table(images),
        )


def _predicted(images: LabelledImages, networks: Networks) -> SplitPredictions:
    """Return the predictions for the images that are left. Raises DataError if they are fewer than MIN_IMAGES."""
    _require_images(images)
    positions = images.accepted.index.to_numpy(dtype=np.int64)
    parts = []
    with Progress("predicting", len(positions), "images") as bar:
        for start in range(0, len(positions), IMAGES_AT_ONCE):
            some = positions[start : start + IMAGES_AT_ONCE]
            parts.append(networks.predict(images.take(some)))
            bar.advance(len(some))
    logits = np.concatenate([one.logits for one in parts])
    energies = np.concatenate([one.energies for one in parts])
    rows = images.accepted.copy()
    rows[ENERGY_COLUMNS] = energies
    differing = [one.disagreement for one in parts if one.disagreement is not None]
    rows[DISAGREEMENT] = np.concatenate(differing) if differing else np.nan
    is_finite = np.isfinite(logits).all(axis=1)
    images.leave_out(np.isin(np.arange(len(images.rows)), positions[~is_finite]), NOT_FINITE)
    _require_images(images)
    rows = rows[is_finite]
    return SplitPredictions(images=rows, truth=class_indices(rows), logits=logits[is_finite])


def _require_images(images: LabelledImages) -> None:
    if (left := len(images.accepted)) < MIN_IMAGES:
        reasons = Counter(map(short_reason, images.rows["rejected_because"].dropna()))
        why = "; ".join(f"{n}: {reason}" for reason, n in reasons.most_common())
        raise DataError(
            f"{left} of {counted(len(images.rows), 'image')} left, at least {MIN_IMAGES} needed ({why}). Give other "
            "images, or a model that was not made with these."
        )
