"""ONNX: a single file with the weights, for any batch size; optionally with the CIN in int8."""

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch.export import ExportedProgram

from coronet_core.metrics.arrays import Floats
from tasks.export.export_options import Pixels
from tasks.export.exported_network import OUTPUTS, PROBABILITIES
from tasks.export.sample_images import KnownImages, Session, as_input

BATCH = "batch"
INPUT = "image"
OPSET = 20
SCALING_IMAGES = 64
QUANTISED_TYPES = ("Conv", "Gemm")
QUANTISED_PART = "cin."


def write_onnx(program: ExportedProgram, path: Path) -> None:
    """Write `program` as ONNX."""
    with redirect_stdout(io.StringIO()):  # torch prints its steps
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    if exported is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = exported.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    del model.graph.value_info[:]  # intermediate shapes use another name for the dimension; onnxruntime infers them
    onnx.save(model, path)


def describe(path: Path, metadata: dict[str, str]) -> None:
    """Write `metadata` into an ONNX file, in place of the exporter's."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata)
    model.producer_name, model.doc_string = "coronet", metadata["notice"]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def open_onnx(path: Path, pixels: Pixels) -> Session:
    """Load an ONNX file into onnxruntime, on the CPU with torch's number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # as in tasks/runtime/compute/cpu
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(images: NDArray[np.uint8]) -> Floats:
        (probabilities,) = session.run([PROBABILITIES], {INPUT: as_input(images, pixels)})
        return np.asarray(probabilities, dtype=np.float64)

    return predict


class _Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime comes without type hints
    def __init__(self, images: KnownImages, pixels: Pixels) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = images.batches(1)
        self._pixels = pixels

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: as_input(batch, self._pixels)}


def quantise(path: Path, images: KnownImages, pixels: Pixels) -> None:
    """Replace the fp32 ONNX file at `path` by one whose CIN computes in int8: weights per channel, inputs per tensor.

    A sample of `images` sets the ranges.
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
    return [node.name for node in nodes if node.op_type in QUANTISED_TYPES and QUANTISED_PART in node.input[1]]


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
