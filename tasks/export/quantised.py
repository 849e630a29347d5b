"""int8 by onnxruntime's static quantisation, scaled by validation images.

The CIN alone becomes int8. What it reads are differences of a few grey levels: 256 steps inside the autoencoders would
drown them (docs/export.md has the figures), and almost all weights are the CIN's.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tasks.export.export_options import Pixels
from tasks.export.onnx_file import INPUT
from tasks.export.sample_images import KnownImages, as_input

SCALING_IMAGES = 64
QUANTISED_TYPES = ("Conv", "Gemm")
QUANTISED_PART = "cin."


class _Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime comes without type hints
    def __init__(self, images: KnownImages, pixels: Pixels) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = images.batches(1)
        self._pixels = pixels

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: as_input(batch, self._pixels)}


def quantise(path: Path, images: KnownImages, pixels: Pixels) -> None:
    """Replace the ONNX file at `path`, fp32, by one whose CIN computes in int8: weights by channel, inputs by tensor.

    `images` are those that set the ranges; some of them are taken.
    """
    logging.getLogger().addFilter(_is_no_advice)
    try:
        with TemporaryDirectory(dir=path.parent) as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(path),
                _Images(images.spread(SCALING_IMAGES), pixels),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=_nodes_of_the_cin(prepared),
            )
    finally:
        logging.getLogger().removeFilter(_is_no_advice)


def _nodes_of_the_cin(path: Path) -> list[str]:
    nodes = onnx.load(path).graph.node
    return [node.name for node in nodes if node.op_type in QUANTISED_TYPES and node.input[1].startswith(QUANTISED_PART)]


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
