"""How well the out-of-distribution score separates the test X-rays from images that are not chest X-rays."""

from collections.abc import Callable
from typing import Final

import numpy as np
from torch import Tensor

from coronet_core.audits.ood_detection import Detection, detection, energies_of
from coronet_core.audits.probes import PROBES
from coronet_core.common.seeds import derive_seed, generator
from coronet_core.metrics.intervals import Proportion
from coronet_core.metrics.out_of_distribution import EnergyReference, ood_score
from tasks.audit.audited_images import AuditImages

DETECTED_AUC: Final = 0.8
"""ROC-AUC from which a kind of probe counts as detected; 0.5 is chance."""


def out_of_distribution(
    residual: Callable[[Tensor], Tensor],
    images: AuditImages,
    reference: EnergyReference,
    on_images: Callable[[int], object],
) -> tuple[Proportion, dict[str, Detection]]:
    """Return the share of test X-rays that the score flags, and the detection of each kind of probe.

    `residual` makes residual tensors (n, 3, H, W) of images (n, 1, H, W), without a scale.
    """
    parts = []
    for batch in images.batches(images.test):
        parts.append(energies_of(residual, batch))
        on_images(len(batch))
    xrays = ood_score(np.concatenate(parts), reference)
    order = np.random.default_rng(derive_seed(images.seed, "probed")).permutation(len(images.test))
    probed = order[: images.n_probes]
    found = {}
    for kind, probe in PROBES.items():
        rng = generator(images.seed, "probe", kind)
        parts = []
        for batch in images.batches(images.test.iloc[probed]):
            parts.append(energies_of(residual, probe(batch.cpu(), rng).to(batch.device)))
            on_images(len(batch))
        scores = ood_score(np.concatenate(parts), reference)
        found[kind] = detection(xrays, scores, probed, reference.threshold, images.sample)
    return Proportion.of(xrays > reference.threshold, images.sample.confidence), found
