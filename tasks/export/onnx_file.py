"""ONNX: one file with its weights inside, no code of this project, any number of images."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from coronet_core.metrics.arrays import Floats
from tasks.export.export_options import Pixels
from tasks.export.exported_network import OUTPUTS, PROBABILITIES
from tasks.export.sample_images import Session, as_input

BATCH = "batch"
INPUT = "image"
OPSET = 20


def write_onnx(program: ExportedProgram, path: Path) -> None:
    """Write `program` as ONNX."""
    with redirect_stdout(io.StringIO()):  # torch tells its steps
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    if exported is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = exported.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    del model.graph.value_info[:]  # shapes between, by another name of the dimension; onnxruntime infers them
    onnx.save(model, path)


def describe(path: Path, metadata: dict[str, str]) -> None:
    """Write `metadata` into an ONNX file, in place of what its makers said."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata)
    model.producer_name, model.doc_string = "coronet", metadata["notice"]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def open_onnx(path: Path, pixels: Pixels) -> Session:
    """Load an ONNX file into onnxruntime, on the CPU with torch's number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(images: NDArray[np.uint8]) -> Floats:
        (probabilities,) = session.run([PROBABILITIES], {INPUT: as_input(images, pixels)})
        return np.asarray(probabilities, dtype=np.float64)

    return answer
