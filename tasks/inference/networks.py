"""A trained model's networks, loaded: what takes seconds once and nothing the next time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.autoencoder.tfen import TFEN
from coronet_core.classifier.coronet import CoroNet
from coronet_core.classifier.inputs import cin_input
from coronet_core.common.batches import as_image
from coronet_core.metrics.arrays import Floats
from tasks.materialize_residuals.residual_shards import compute_shard
from tasks.networks.trained_cin import cin_from
from tasks.networks.trained_tfen import tfen_from
from tasks.package.trained_model import TrainedModel


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Both autoencoders and the CIN of `model`, frozen, on `device`."""

    model: TrainedModel
    tfen: TFEN
    cin: torch.nn.Module
    device: torch.device

    @classmethod
    def of(cls, model: TrainedModel, device: torch.device) -> Self:
        """Load the networks of `model`. Raises WeightsError if they are not what its files say."""
        cin = cin_from(model.cin, model.cin_input, device)
        return cls(model=model, tfen=tfen_from(model.autoencoders, device), cin=cin, device=device)

    @property
    def coronet(self) -> CoroNet:
        """The whole network, image in and probabilities out: what maps explain."""
        return CoroNet(self.tfen, self.cin, self.model.cin_input)

    @torch.inference_mode()
    def answer(self, images: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.float64]]:
        """Return logits (n, 3) and residual energies (n, 3) of `images` (n, H, W)."""
        made = compute_shard(self.tfen, images, self.model.residuals, self.device)
        return np.concatenate(list(self._logits(images, made.residuals))), made.energies

    def _logits(self, images: NDArray[np.uint8], residuals: NDArray[np.float16]) -> Iterator[Floats]:
        for start in range(0, len(images), self.model.batch_size):
            batch = slice(start, start + self.model.batch_size)
            image = as_image(torch.from_numpy(images[batch]).to(self.device))  # (B, 1, H, W)
            residual = torch.from_numpy(residuals[batch]).to(self.device).float()  # (B, 3, H, W)
            inputs = cin_input(self.model.cin_input, image, residual).contiguous(memory_format=torch.channels_last)
            yield self.cin(inputs).double().cpu().numpy()
