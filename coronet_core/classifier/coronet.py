"""The whole network of Figure 1: image in, class probabilities and residual tensor out."""

from typing import NamedTuple

from torch import Tensor, nn

from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.inputs import cin_input
from coronet_core.common.literals import CinInput


class CoroNetOutput(NamedTuple):
    """What CoroNet says of a batch of images."""

    probabilities: Tensor
    """(B, 3) float32, rows sum to 1, columns in the order of `coronet_core.common.classes.CLASSES`."""
    residual_tensor: Tensor
    """(B, 3, H, W), eq. (5)-(7)."""


class CoroNet(nn.Module):
    """TFEN and CIN, 11,285,369 parameters (the paper's "11.8M" counts the same network)."""

    def __init__(self, tfen: TFEN, cin: nn.Module, kind: CinInput = "residual_tensor") -> None:
        super().__init__()
        self.tfen = tfen
        self.cin = cin
        self.kind = kind

    def forward(self, image: Tensor) -> CoroNetOutput:
        """Classify `image`, (B, 1, H, W) float in [0, 1]. Gradients flow to the image: attribution needs them."""
        residual = self.tfen(image)  # (B, 3, H, W)
        return CoroNetOutput(self.cin(cin_input(self.kind, image, residual)).float().softmax(dim=1), residual)
