"""What a script of 2020 loads: a model's networks, and images from files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load
from torch import Tensor, nn

from benchmarks.speed.plain import autoencoder
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from tasks.package.trained_model import TrainedModel


def autoencoders(model: TrainedModel, device: torch.device) -> list[FPAE]:
    """Return AE_H and AE_P, in eval mode."""
    return [autoencoder(load(content)).to(device).eval() for content in model.autoencoders.values()]


def cin(model: TrainedModel, device: torch.device) -> nn.Module:
    """Return the CIN, in eval mode."""
    network = build_cin()
    network.load_state_dict(load(model.cin))
    return network.to(device).eval()


def read_image(file: Path, side_px: int) -> Tensor:
    """Open, grey, resize, to a tensor: (1, H, W) float32 in [0, 1]."""
    image = Image.open(file).convert("L").resize((side_px, side_px), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)[None]
