"""What can be chosen of an exported file."""

from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from coronet_core.support.errors import CoroNetError


class Target(StrEnum):
    """Kinds of file."""

    ONNX = "onnx"
    TORCH = "torch"


class Number(StrEnum):
    """Number formats of weights and convolutions."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Pixels(StrEnum):
    """What the program takes: grey levels as stored, or those divided by 255."""

    UINT8 = "uint8"
    FLOAT32 = "float32"


ONNX_PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript")
SUFFIXES: Final = {Target.ONNX: ".onnx", Target.TORCH: ".pt2"}


@dataclass(frozen=True, kw_only=True)
class ExportOrder:
    """What to write, and where."""

    target: Target
    number: Number
    pixels: Pixels
    out: Path

    def check(self) -> None:
        """Raise CoroNetError for what cannot be written, or not without a package that is not installed."""
        suffix = SUFFIXES[self.target]
        if self.target is Target.TORCH and self.number is Number.INT8:
            raise CoroNetError("--to torch --precision int8: int8 is made by onnxruntime. Use --to onnx, or fp16.")
        if self.out.suffix != suffix:
            raise CoroNetError(f"--out {self.out}: a file for --to {self.target} ends in {suffix}. Give such a name.")
        if self.out.is_dir():
            raise CoroNetError(f"--out {self.out}: a folder. Name a file in it.")
        missing = [name for name in ONNX_PACKAGES if find_spec(name) is None]
        if missing and self.target is Target.ONNX:
            raise CoroNetError(f"--to onnx needs {', '.join(missing)}. Install it: pip install 'coronet[export]'.")
