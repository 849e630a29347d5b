"""The whole CoroNet as one module, pixels in and predictions out, and as a torch.export program."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from coronet_core.autoencoder.residual_tensor import residual_tensor
from coronet_core.classifier.inputs import cin_input
from coronet_core.metrics.arrays import Floats
from tasks.export.export_options import Pixels
from tasks.export.sample_images import GREY_LEVELS, Session, as_input
from tasks.networks.trained_cin import cin_from
from tasks.networks.trained_tfen import tfen_from
from tasks.package.trained_model import TrainedModel

CPU: Final = torch.device("cpu")


PROBABILITIES: Final = "probabilities"
OUTPUTS: Final = ("logits", PROBABILITIES, "energies")
"""Outputs for a batch of images, each (B, 3) float32: logits, in the order of
`coronet_core.common.classes.CLASSES`; softmax(logits / temperature), which is calibrated; and the means of the residual
tensor's channels, from which the out-of-distribution score follows."""
EXAMPLES = 2
"""Not 1: torch.export treats a dimension of 1 as constant."""
METADATA_FILE = "metadata.json"


class WholeNetwork(nn.Module):
    """Both autoencoders, the CIN and the temperature in one module."""

    def __init__(self, model: TrainedModel, number_type: torch.dtype = torch.float32) -> None:
        """`number_type` is the type of weights and convolutions; differences and sums stay float32."""
        super().__init__()
        tfen = tfen_from(model.autoencoders, CPU, model.residual_scale)
        self.scale, tfen.scale = tfen.scale, None  # stays float32
        self.tfen = tfen.to(number_type)
        self.cin = cin_from(model.cin, model.cin_input, CPU).to(number_type)
        self._kind = model.cin_input
        self._temperature = model.calibration.temperature
        self._number_type = number_type
        self.to(memory_format=torch.contiguous_format)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return a tensor for each of OUTPUTS for `image`, (B, 1, H, W): float32 in [0, 1], or uint8."""
        if image.dtype == torch.uint8:
            image = image.float() / GREY_LEVELS
        rounded = image.to(self._number_type)
        healthy, pneumonia = (
            autoencoder(rounded).reconstruction for autoencoder in (self.tfen.healthy, self.tfen.pneumonia)
        )
        residual = residual_tensor(image, healthy, pneumonia).half()  # (B, 3, H, W), rounded as the CIN was trained
        read = residual if self.scale is None else self.scale(residual.float()).half()
        inputs = cin_input(self._kind, rounded, read.to(self._number_type))
        logits = self.cin(inputs).float()  # (B, 3)
        probabilities = (logits / self._temperature).softmax(dim=1)
        energies = residual.float().mean(dim=(2, 3))
        return dict(zip(OUTPUTS, (logits, probabilities, energies), strict=True))


def program_of(network: nn.Module, side_px: int, pixels: Pixels) -> ExportedProgram:
    """Trace `network` for any number of images of `side_px` x `side_px`."""
    shape = (EXAMPLES, 1, side_px, side_px)
    example = torch.zeros(shape, dtype=torch.uint8 if pixels is Pixels.UINT8 else torch.float32)
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes={"image": {0: Dim("batch", min=1)}})


def write_program(program: ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    """Write a `.pt2` file, with the metadata as `metadata.json` among its extra files."""
    with path.open("wb") as file:  # torch checks the suffix of names, and partial files have another
        torch.export.save(program, file, extra_files={METADATA_FILE: json.dumps(metadata)})


def open_program(path: Path, pixels: Pixels) -> Session:
    """Load a `.pt2` file."""
    with path.open("rb") as file:
        return session_of(torch.export.load(file).module(), pixels)


def session_of(network: Callable[[Tensor], dict[str, Tensor]], pixels: Pixels) -> Session:
    """Return a session that runs a network or program with input `pixels`."""

    @torch.no_grad()
    def predict(images: NDArray[np.uint8]) -> Floats:
        outputs = network(torch.from_numpy(as_input(images, pixels)))
        return outputs[PROBABILITIES].double().numpy()

    return predict
