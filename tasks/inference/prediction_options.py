"""Options of predictions; separate, so that the command line can load them without heavy imports."""

from enum import StrEnum


class Format(StrEnum):
    """Output formats of predictions."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Method(StrEnum):
    """Attribution methods (`tasks.runtime.params.explain.MethodName`)."""

    PERTURBATION = "perturbation"
    OCCLUSION = "occlusion"
    INTEGRATED_GRADIENTS = "integrated_gradients"
    GRAD_CAM = "grad_cam"
