"""From a trained model to a file that has been run and measured before it is put in place."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from coronet_core.support.errors import CoroNetError, DataError
from coronet_core.support.whole_files import write_whole
from tasks.export.export_metadata import metadata_of
from tasks.export.export_options import ExportOrder, Number, Pixels, Target
from tasks.export.exported_network import WholeNetwork
from tasks.export.sample_images import Loss, drawn_images, measure, split_images
from tasks.export.torch_program import open_program, program_of, session_of, write_program
from tasks.inference.source import load_model
from tasks.package.trained_model import TrainedModel
from tasks.runtime.files import write_json

ROUNDING: Final = 1e-3
"""By which a probability may differ in fp32; more is a fault. Residuals are rounded to float16, which may differ in the
last bit: 5e-5 on the demo."""


def export(source: str | None, order: ExportOrder) -> dict[str, Any]:
    """Write the model that `source` names as `order` says; returns what is also written beside it, as JSON.

    Raises CoroNetError if that cannot be done, or if the file does not answer as the network does.
    """
    order.check()
    model = load_model(source)
    measured: list[Loss] = []
    write_whole(order.out, lambda partial_file: measured.append(_write(partial_file, model, order)))
    told = {
        "file": order.out.name,
        "file_bytes": order.out.stat().st_size,
        "fp32_weights_bytes": sum(map(len, (*model.autoencoders.values(), model.cin))),
        "loss": asdict(measured[0]),
        "metadata": metadata_of(model, order),
    }
    write_json(order.out.with_name(f"{order.out.name}.json"), told)
    return told


def _write(path: Path, model: TrainedModel, order: ExportOrder) -> Loss:
    number_type = torch.float16 if order.number is Number.FP16 else torch.float32
    program = program_of(WholeNetwork(model, number_type), model.image_size_px, order.pixels)
    metadata = metadata_of(model, order)
    if order.target is Target.TORCH:
        write_program(program, path, metadata)
        session = open_program(path, order.pixels)
    else:
        from tasks.export.onnx_file import describe, open_onnx, write_onnx

        write_onnx(program, path)
        if order.number is Number.INT8:
            _quantise(path, model, order.pixels)
        describe(path, metadata)
        session = open_onnx(path, order.pixels)
    network = session_of(WholeNetwork(model), Pixels.UINT8)
    loss = measure(session, network, split_images("test", model) or drawn_images(model))
    if order.number is Number.FP32 and not loss.largest_difference <= ROUNDING:
        raise CoroNetError(
            f"{order.out}: not written. A probability differs by {loss.largest_difference:.2g} from the network's; "
            f"allowed: {ROUNDING}. Install the pinned versions of torch, onnx, onnxscript and onnxruntime."
        )
    return loss


def _quantise(path: Path, model: TrainedModel, pixels: Pixels) -> None:
    from tasks.export.quantised import quantise

    images = split_images("validation", model)
    if images is None:
        raise DataError(
            f"--precision int8: validation images of {model.image_size_px} px set its ranges, and this folder has "
            "none. Run it where the model was trained, or the stage build_split (`coronet run`)."
        )
    quantise(path, images, pixels)
