"""What an exported file says of itself, as text by name: all that a reader of its answers needs."""

import json
from dataclasses import asdict
from typing import Final

from coronet_core.classes import CLASSES
from tasks.export.options import ExportOrder, Pixels
from tasks.inference.model import TrainedModel

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
