"""What an exported file says of itself, and what is said of it on the terminal."""

import json
from dataclasses import asdict
from typing import Any, Final

from coronet_core.common.classes import CLASSES
from tasks.export.export_options import ExportOrder, Pixels
from tasks.package.trained_model import TrainedModel

NOTICE: Final = "Research software, not a medical device. It must not be used to diagnose, treat or triage anyone."
RANGES: Final = {Pixels.UINT8: "grey levels 0 to 255", Pixels.FLOAT32: "grey levels divided by 255, 0 to 1"}


def metadata_of(model: TrainedModel, order: ExportOrder) -> dict[str, str]:
    """Return the file's own description; values that are no text are JSON."""
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


MIB = 2**20


def summary_lines(told: dict[str, Any]) -> list[str]:
    """Return the lines for what `export` returns."""
    loss, size, weights = told["loss"], told["file_bytes"] / MIB, told["fp32_weights_bytes"] / MIB
    compared = f"against the network in fp32, on {loss['images']} {loss['origin']}"
    differs = f"probabilities differ by at most {loss['largest_difference']:.2g} (mean {loss['mean_difference']:.2g})"
    lines = [
        f"{told['file']}: {size:.1f} MiB (weights in fp32: {weights:.1f} MiB)",
        f"{compared}: {differs}, {loss['other_labels']} other labels",
    ]
    if loss["accuracy"] is not None:
        lines.append(f"accuracy {loss['accuracy']:.4f} (fp32: {loss['accuracy_in_fp32']:.4f})")
    return [*lines, told["metadata"]["notice"]]
