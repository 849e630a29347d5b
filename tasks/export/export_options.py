"""Options of an export."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from coronet_core.support.errors import CoroNetError


class Target(StrEnum):
    """File formats."""

    ONNX = "onnx"
    TORCH = "torch"


class Number(StrEnum):
    """Number formats of weights and convolutions."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Pixels(StrEnum):
    """Input of the exported program: grey levels as stored, or divided by 255."""

    UINT8 = "uint8"
    FLOAT32 = "float32"


ONNX_PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript")
SUFFIXES: Final = {Target.ONNX: ".onnx", Target.TORCH: ".pt2"}


@dataclass(frozen=True, kw_only=True)
class ExportOrder:
    """The file to write, and its options."""

    target: Target
    number: Number
    pixels: Pixels
    out: Path

    def check(self) -> None:
        """Raise CoroNetError if the options do not fit together, or if a required package is not installed."""
        suffix = SUFFIXES[self.target]
        if self.target is Target.TORCH and self.number is Number.INT8:
            raise CoroNetError("--to torch --precision int8: int8 is supported for ONNX only. Use --to onnx, or fp16.")
        if self.out.suffix != suffix:
            raise CoroNetError(
                f"--out {self.out}: a file for --to {self.target} must end in {suffix}. Give such a name."
            )
        if self.out.is_dir():
            raise CoroNetError(f"--out {self.out}: a folder. Give a file in it.")
        missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
        if missing and self.target is Target.ONNX:
            raise CoroNetError(
                f"--to onnx needs {', '.join(missing)}. "
                "Install the extra: pip install 'coronet[export]' -c constraints.txt"
            )
