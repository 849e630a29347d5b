"""The whole CoroNet as one module: pixels in, answers out, in the steps of `tasks/inference/predictor.py`."""

from typing import Final

import torch
from torch import Tensor, nn

from coronet_core.autoencoder.tfen import residual_tensor
from coronet_core.classifier.inputs import cin_input
from tasks.export.sample_images import GREY_LEVELS
from tasks.networks.trained_cin import cin_from
from tasks.networks.trained_tfen import tfen_from
from tasks.package.trained_model import TrainedModel

CPU: Final = torch.device("cpu")


PROBABILITIES: Final = "probabilities"
OUTPUTS: Final = ("logits", PROBABILITIES, "energies")
"""What the program says of a batch of images, each (B, 3) float32: logits, in the order of
`coronet_core.common.classes.CLASSES`; softmax(logits / temperature), which is calibrated; and the means of the residual
tensor's channels, from which the out-of-distribution score follows."""


class WholeNetwork(nn.Module):
    """Both autoencoders, the CIN and the temperature; it holds no file and no path."""

    def __init__(self, model: TrainedModel, number_type: torch.dtype = torch.float32) -> None:
        """`number_type` is that of weights and convolutions; what is subtracted or summed stays float32."""
        super().__init__()
        self.tfen = tfen_from(model.autoencoders, CPU).to(number_type)
        self.cin = cin_from(model.cin, model.cin_input, CPU).to(number_type)
        self._kind = model.cin_input
        self._temperature = model.calibration.temperature
        self._number_type = number_type
        self.to(memory_format=torch.contiguous_format)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Answer for `image`, (B, 1, H, W): float32 in [0, 1], or uint8. Returns a tensor for each of OUTPUTS."""
        if image.dtype == torch.uint8:
            image = image.float() / GREY_LEVELS
        rounded = image.to(self._number_type)
        healthy, pneumonia = (
            autoencoder(rounded).reconstruction for autoencoder in (self.tfen.healthy, self.tfen.pneumonia)
        )
        residual = residual_tensor(image, healthy, pneumonia).half()  # (B, 3, H, W), rounded as the CIN was trained
        inputs = cin_input(self._kind, rounded, residual.to(self._number_type))
        logits = self.cin(inputs).float()  # (B, 3)
        probabilities = (logits / self._temperature).softmax(dim=1)
        energies = residual.float().mean(dim=(2, 3))
        return dict(zip(OUTPUTS, (logits, probabilities, energies), strict=True))
