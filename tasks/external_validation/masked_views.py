"""What the model scores on the same images with parts hidden, and whether that passes the shortcut audit."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from coronet_core.audits.masking import Regions, read_by_view
from coronet_core.audits.skill import Sample, retained, view_figures
from coronet_core.audits.verdict import judge
from coronet_core.common.batches import as_image
from tasks.audit.verdict_limits import limits_of
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.external_validation.labelled_images import LabelledImages
from tasks.inference.predictor import Networks
from tasks.runtime.files import nulls_for_nan
from tasks.runtime.params.schema import AuditParams, EvaluateParams
from tasks.runtime.progress import Progress

NO_SOURCE_RULE: Final = (
    "What the source's name alone predicts is a question about the training images: see the model's own report."
)


def masked_views(
    images: LabelledImages,
    predictions: SplitPredictions,
    networks: Networks,
    params: AuditParams,
    evaluate: EvaluateParams,
    seed: int,
) -> dict[str, Any]:
    """Return the scores by view, with the share of the skill on whole images that is retained, and the verdict.

    The images are those of `predictions`; views and limits are those of the stage `audit`. Its rule about the source,
    for which a classifier is trained, does not apply.
    """
    left, top, right, bottom = params.lungs_box
    sample = Sample(
        truth=predictions.truth,
        groups=predictions.groups,
        confidence=evaluate.confidence,
        replicates=evaluate.bootstrap_replicates,
        seed=seed,
    )
    coronet, positions = networks.coronet, predictions.images.index.to_numpy(dtype=np.int64)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(positions), params.batch_size):
            pixels = torch.from_numpy(images.take(positions[start : start + params.batch_size]))
            yield as_image(pixels.to(networks.device))

    with Progress("masked views", len(positions), "images") as bar:
        regions = Regions((left, top, right, bottom), params.border_fraction)
        seen = read_by_view(lambda x: coronet(x).probabilities, batches(), regions, bar.advance)
    figures = {view: view_figures(probabilities, sample) for view, probabilities in seen.items()}
    views = {
        view: {"network": asdict(one), "retained": asdict(retained(one, figures["as_is"], sample.n_classes))}
        for view, one in figures.items()
    }
    verdict = judge(figures, None, sample.n_classes, limits_of(params), NO_SOURCE_RULE)
    found: dict[str, Any] = nulls_for_nan({"views": views, "verdict": asdict(verdict)})
    return found
