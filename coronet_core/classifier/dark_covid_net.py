"""DarkCovidNet (Ozturk et al. 2020), to compare with: a small YOLO backbone, 1,167,586 parameters."""

from collections import OrderedDict

from torch import Tensor, nn

from coronet_core.common.classes import CLASSES

SLOPE = 0.1
LAST_MAP = 13
"""Side of the last map for images of 256 pixels, the size it was made for."""


def _convolution(n_in: int, n_out: int, kernel: int = 3) -> nn.Sequential:
    """Return convolution, batch norm, leaky ReLU. The padding is 1 for kernels of 1 too: these maps grow by 2."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(SLOPE)
    )


def _triple(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(_convolution(n_in, n_out), _convolution(n_out, n_in, 1), _convolution(n_in, n_out))


class DarkCovidNet(nn.Module):
    """Input (B, 3, H, W), logits (B, 3) out.

    The layers are those of the authors' public notebook. A last map of another side than 13 is averaged or repeated
    to that side, which leaves images of 256 pixels as they are; the linear layer needs it.
    """

    def __init__(self) -> None:
        super().__init__()

        def pool() -> nn.Module:
            return nn.MaxPool2d(2, stride=2)

        self.features = nn.Sequential(
            _convolution(3, 8),
            pool(),
            _convolution(8, 16),
            pool(),
            _triple(16, 32),
            pool(),
            _triple(32, 64),
            pool(),
            _triple(64, 128),
            pool(),
            _triple(128, 256),
            _convolution(256, 128, 1),
            _convolution(128, 256),
            nn.Sequential(
                OrderedDict(
                    convolution=nn.Conv2d(256, len(CLASSES), 3, padding=1, bias=False),
                    relu=nn.ReLU(),
                    norm=nn.BatchNorm2d(len(CLASSES)),
                )
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(LAST_MAP)
        self.classifier = nn.Linear(len(CLASSES) * LAST_MAP**2, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, 3) of `x` (B, 3, H, W)."""
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits
