"""Exporting a model, with its metadata and a comparison with the original network."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import CoroNetError, DataError
from coronet_core.support.whole_files import write_whole
from tasks.export.export_options import ExportOrder, Number, Pixels, Target
from tasks.export.exported_network import WholeNetwork, open_program, program_of, session_of, write_program
from tasks.export.sample_images import Loss, drawn_images, measure, split_images
from tasks.inference.model_source import load_model
from tasks.package.trained_model import TrainedModel
from tasks.runtime.files import write_json

NOTICE: Final = "Research software, not a medical device. It must not be used to diagnose, treat or triage anyone."
RANGES: Final = {Pixels.UINT8: "grey levels 0 to 255", Pixels.FLOAT32: "grey levels divided by 255, 0 to 1"}
MIB = 2**20
ROUNDING: Final = 1e-3
"""Largest difference of a probability allowed in fp32. Residuals are rounded to float16, whose last bit may differ:
5e-5 on the demo."""


def metadata_of(model: TrainedModel, order: ExportOrder) -> dict[str, str]:
    """Return the file's metadata; values other than text are JSON."""
    calibration = model.calibration
    side = model.image_size_px
    return {
        "notice": NOTICE,
        "classes": json.dumps(CLASSES),
        "image_size_px": str(side),
        "aspect": str(model.aspect),
        "reading": str(model.reading),
        "input": f"image: {order.pixels}, (batch, 1, {side}, {side}), {RANGES[order.pixels]}",
        "outputs": "logits, probabilities (calibrated), energies (means of the residual tensor's channels)",
        "precision": str(order.number),
        "temperature": repr(calibration.temperature),
        "conformal_quantile": json.dumps(calibration.conformal_quantile),
        "covid19_threshold": json.dumps(calibration.covid19_threshold),
        "energy_reference": json.dumps(asdict(calibration.energies)),
        "model": model.digest,
    }


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the output of `export` as lines for the terminal."""
    loss, size, weights = summary["loss"], summary["file_bytes"] / MIB, summary["fp32_weights_bytes"] / MIB
    compared = f"compared with the network in fp32, on {loss['images']} {loss['origin']}"
    differs = f"probabilities differ by at most {loss['largest_difference']:.2g} (mean {loss['mean_difference']:.2g})"
    lines = [
        f"{summary['file']}: {size:.1f} MiB (weights in fp32: {weights:.1f} MiB)",
        f"{compared}: {differs}, {loss['other_labels']} predicted classes differ",
    ]
    if loss["accuracy"] is not None:
        lines.append(f"accuracy {loss['accuracy']:.4f} (fp32: {loss['accuracy_in_fp32']:.4f})")
    return [*lines, summary["metadata"]["notice"]]


def export(source: str | None, order: ExportOrder) -> dict[str, Any]:
    """Export the model at `source` with the options `order`; return the summary that is also written as `FILE.json`.

    Raises CoroNetError if this is not possible, or if the file's predictions differ from the network's.
    """
    order.check()
    model = load_model(source)
    measured: list[Loss] = []
    write_whole(order.out, lambda partial_file: measured.append(_write(partial_file, model, order)))
    summary = {
        "file": order.out.name,
        "file_bytes": order.out.stat().st_size,
        "fp32_weights_bytes": sum(map(len, (*model.autoencoders.values(), model.cin))),
        "loss": asdict(measured[0]),
        "metadata": metadata_of(model, order),
    }
    write_json(order.out.with_name(f"{order.out.name}.json"), summary)
    return summary


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
    from tasks.export.onnx_file import quantise

    images = split_images("validation", model)
    if images is None:
        raise DataError(
            f"--precision int8 needs validation images of {model.image_size_px} px to set its ranges, but this folder "
            "has none. Export where the model was trained, or run the stage build_split (`coronet run`)."
        )
    quantise(path, images, pixels)
