"""All operations by name, each with its plain way and ours; and what each must reach on two cores."""

from collections.abc import Callable
from typing import Final

from benchmarks.speed import answers, autoencoders, classifier, whole
from benchmarks.speed.setting import Setting
from benchmarks.speed.work import Work

Way = Callable[[Setting], Work]
OPERATIONS: Final[dict[str, tuple[Way, Way]]] = {
    **autoencoders.WAYS,
    **classifier.WAYS,
    **answers.WAYS,
    **whole.WAYS,
}
CUDA_ONLY: Final = ("AE training step, CUDA graphs",)
TARGETS: Final = {
    "bfloat16": {
        "AE training step": 3.0,
        "AE inference, both, bf16": 4.0,
        "residuals, files to shard, bf16": 3.0,
        "CIN step, from shards against recomputed": 3.0,
    },
    "avx2": {"AE training step": 1.8, "AE inference, both, fp32": 2.5, "prediction, 1 file": 2.5},
}
"""Times as fast as the plain way, on 2 cores at 224 px, by the kind of processor."""
