"""The whole network of Figure 1: image in, class probabilities and residual tensor out."""

from typing import NamedTuple

from torch import Tensor, nn

from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.cin_design import CinDesign
from coronet_core.classifier.inputs import cin_input


class CoroNetOutput(NamedTuple):
    """CoroNet's predictions for a batch of images."""

    probabilities: Tensor
    """(B, 3) float32, rows sum to 1, columns in the order of `coronet_core.common.classes.CLASSES`."""
    residual_tensor: Tensor
    """(B, 3, H, W), eq. (5)-(7)."""


class CoroNet(nn.Module):
    """TFEN and CIN, 11,285,369 parameters (the paper's "11.8M" counts the same network)."""

    def __init__(self, tfen: TFEN, cin: nn.Module, design: CinDesign | None = None) -> None:
        """`cin` is of that `design`, by default the paper's."""
        super().__init__()
        self.tfen = tfen
        self.cin = cin
        self.design = design or CinDesign()

    def forward(self, image: Tensor) -> CoroNetOutput:
        """Classify `image`, (B, 1, H, W) float in [0, 1]. Gradients flow to the image: attribution needs them."""
        residual = self.tfen(image)  # (B, 3, H, W)
        return CoroNetOutput(self.cin(self.cin_input(image, residual)).float().softmax(dim=1), residual)

    def cin_input(self, image: Tensor, residual: Tensor) -> Tensor:
        """Return what the CIN reads, (B, C, H, W), of `image` (B, 1, H, W) and its residual tensor (B, 3, H, W)."""
        return cin_input(self.design.input, image, residual)

    def cin_levels(self) -> dict[str, list[str]]:
        """Return the CIN's submodules in levels from its output to its input, as cascading randomisation takes them."""
        levels = self.design.modules_by_level()
        return {f"cin.{level}": [f"cin.{name}" for name in names] for level, names in levels.items()}
