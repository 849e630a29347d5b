"""What a user may choose for predictions; apart, as the command line needs it before anything heavy is imported."""

from enum import StrEnum


class Format(StrEnum):
    """How predictions are given."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Method(StrEnum):
    """How maps are made (`tasks.runtime.params.explain.MethodName`)."""

    PERTURBATION = "perturbation"
    OCCLUSION = "occlusion"
    INTEGRATED_GRADIENTS = "integrated_gradients"
    GRAD_CAM = "grad_cam"
