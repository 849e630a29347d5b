"""The images of the audit in batches, and the figures computed from their predictions."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from coronet_core.audits.masking import Regions
from coronet_core.audits.probes import PROBES
from coronet_core.audits.skill import Sample, ViewFigures, view_figures
from coronet_core.common.batches import as_image
from coronet_core.common.manifest import read_manifest
from coronet_core.common.seeds import derive_seed
from coronet_core.common.shards import Shards
from coronet_core.support.errors import DataError
from tasks.networks.residual_index import class_indices
from tasks.runtime.paths import IMAGES, MANIFEST
from tasks.runtime.stage_context import StageContext


@dataclass(frozen=True, kw_only=True)
class AuditImages:
    """The training images, for the simple classifiers, and the test images, on which everything is evaluated."""

    train: pd.DataFrame
    """Rows of the manifest, indexed by position in the image stack, like `test`."""
    test: pd.DataFrame
    sample: Sample
    """Of the test images."""
    regions: Regions
    batch_size: int
    n_probes: int
    """Of each kind."""
    device: torch.device
    seed: int

    @property
    def n_classes(self) -> int:
        """Classes that have test images."""
        return self.sample.n_classes

    @property
    def n_shown(self) -> int:
        """Images that the audit processes; the test images three times, for the network, the forest and the score."""
        return len(self.train) + 3 * len(self.test) + len(PROBES) * self.n_probes

    def batches(self, rows: pd.DataFrame) -> Iterator[Tensor]:
        """Yield the images in `rows`, (B, 1, H, W) float32 in [0, 1], on the device."""
        places = rows.index.to_numpy(dtype=np.int64)
        stack = Shards.in_folder(IMAGES)
        for start in range(0, len(places), self.batch_size):
            stored = torch.from_numpy(stack.take(places[start : start + self.batch_size]))
            yield as_image(stored.to(self.device))

    def figures(self, probabilities: NDArray[np.float64]) -> ViewFigures:
        """Return the figures of the predicted `probabilities` (n, 3) of the test images."""
        return view_figures(probabilities, self.sample)


def read_audit_images(context: StageContext) -> AuditImages:
    """Read the split. Raises DataError if it has no test images."""
    params, evaluate, seed = context.params.audit, context.params.evaluate, derive_seed(context.params.seed, "audit")
    left, top, right, bottom = params.lungs_box
    manifest = read_manifest(MANIFEST)
    train, test = manifest[manifest["split"] == "train"], manifest[manifest["split"] == "test"]
    if len(test) == 0:
        raise DataError("no test images: nothing to audit. Raise data.split.test_fraction or add images.")
    sample = Sample(
        truth=class_indices(test),
        groups=test["patient_group"].to_numpy(dtype=object),
        confidence=evaluate.confidence,
        replicates=evaluate.bootstrap_replicates,
        seed=seed,
    )
    return AuditImages(
        train=train,
        test=test,
        sample=sample,
        regions=Regions((left, top, right, bottom), params.border_fraction),
        batch_size=params.batch_size,
        n_probes=min(params.probe_images, len(test)),
        device=context.device,
        seed=seed,
    )
