"""A model with networks that have learnt nothing, and the lineage of none: a package of it is made in a moment."""

from safetensors.torch import save

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.literals import Aspect
from coronet_core.metrics.calibration import CalibrationErrors
from coronet_core.metrics.out_of_distribution import EnergyReference
from tasks.calibrate.calibration_file import Calibration
from tasks.package.metadata import Lineage
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.schema import ResidualParams

CARD = "# CoroNet\n\nResearch software, not a medical device.\n"


def untrained_model() -> TrainedModel:
    """Return it. It takes small images."""
    errors = CalibrationErrors(ece=0.1, brier=0.2, nll=0.3)
    return TrainedModel(
        image_size_px=64,
        aspect=Aspect.STRETCH,
        residuals=ResidualParams(precision="fp32", batch_size=64, shard_images=2048),
        cin_input="residual_tensor",
        batch_size=64,
        autoencoders={"healthy": save(FPAE().state_dict()), "pneumonia": save(FPAE().state_dict())},
        cin=save(build_cin().state_dict()),
        calibration=Calibration(
            images={"healthy": 3, "pneumonia": 3, "covid19": 3},
            temperature=1.5,
            before=errors,
            after=errors,
            miscoverage=0.1,
            conformal_quantile=0.6,
            sensitivity_floor=0.9,
            covid19_threshold=0.2,
            energies=EnergyReference(
                mean=(-2.0, -2.0, -1.0),
                covariance=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
                threshold=3.0,
                percentile=95.0,
                images=9,
            ),
            warnings=[],
        ),
    )


def some_lineage(**changes: object) -> Lineage:
    """Return the lineage of a run that never was."""
    fields = {
        "commit": "a" * 40,
        "has_local_changes": False,
        "params": {"seed": 1},
        "data": {"data/split": "b" * 32 + ".dir"},
        "code": {"tasks/package/stage.py": "c" * 32},
        "training_precision": {"AE_H": "bf16", "AE_P": "bf16", "CIN": "fp32"},
    }
    return Lineage(**(fields | changes))  # type: ignore[arg-type]
