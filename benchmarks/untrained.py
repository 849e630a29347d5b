"""A CoroNet of initial weights: its speed and memory are a trained one's."""

import torch
from safetensors.torch import save

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import Aspect
from coronet_core.metrics.calibration import CalibrationErrors
from coronet_core.metrics.out_of_distribution import EnergyReference
from tasks.calibrate.calibration_file import Calibration
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.schema import ResidualParams

SEED = 2020


def untrained_model(side_px: int, residuals: ResidualParams) -> TrainedModel:
    """Return the model for images of `side_px`, its calibration a placeholder: it changes no work."""
    torch.manual_seed(SEED)
    identity = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    return TrainedModel(
        image_size_px=side_px,
        aspect=Aspect.STRETCH,
        residuals=residuals,
        cin_input="residual_tensor",
        batch_size=64,
        autoencoders={"healthy": save(FPAE().state_dict()), "pneumonia": save(FPAE().state_dict())},
        cin=save(build_cin().state_dict()),
        calibration=Calibration(
            images=dict.fromkeys(CLASSES, 1),
            temperature=1.5,
            before=CalibrationErrors(nll=1.0, brier=1.0, ece=0.0),
            after=CalibrationErrors(nll=1.0, brier=1.0, ece=0.0),
            miscoverage=0.1,
            conformal_quantile=0.8,
            sensitivity_floor=0.9,
            covid19_threshold=0.5,
            energies=EnergyReference(
                mean=(0.0, 0.0, 0.0), covariance=identity, threshold=3.0, percentile=95.0, images=1
            ),
            warnings=[],
        ),
    )
