"""What denormal weights cost: `python -m benchmarks.denormals label_0_best.pth label_1_best.pth [--size 160]`.

Residual tensors of phantoms by both autoencoders, from the weights that the authors released or any others, with
denormal numbers as they are and taken for zero, in turns on one thread. CPU seconds an image (medians), the ratio, and
the largest difference of a residual.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.pretrained import load_pretrained
from coronet_core.autoencoder.residual_tensor import TFEN, freeze, residuals_of
from coronet_core.data.sources import phantom

IMAGES: Final = 4
CPU: Final = torch.device("cpu")


def tfen_of(healthy: Path, pneumonia: Path) -> TFEN:
    """Return both autoencoders with the weights of these files, frozen."""
    networks = []
    for path in (healthy, pneumonia):
        network = FPAE()
        load_pretrained(network, path)
        networks.append(network)
    tfen = TFEN(*networks)
    freeze(tfen, CPU)
    return tfen


def measured(tfen: TFEN, images: Tensor, *, as_zero: bool) -> tuple[float, Tensor]:
    """Return the CPU seconds an image, and the residual tensors."""
    torch.set_flush_denormal(as_zero)
    began_s = time.process_time()
    residuals = residuals_of(tfen, images, "fp32")
    return (time.process_time() - began_s) / len(images), residuals


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("healthy", type=Path)
    parser.add_argument("pneumonia", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the setting is a thread's own
    tfen = tfen_of(options.healthy, options.pneumonia)
    drawn = [phantom.draw(1, "healthy", f"patient-{number}", 0, options.size)[0] for number in range(IMAGES)]
    images = torch.from_numpy(np.stack(drawn))[:, None].float() / 255  # (B, 1, H, W)
    measured(tfen, images, as_zero=True)  # once for what is made once
    turns = [[measured(tfen, images, as_zero=zero) for zero in (False, True)] for _ in range(options.rounds)]
    seconds = [statistics.median(turn[way][0] for turn in turns) for way in (0, 1)]
    difference = float((turns[0][0][1] - turns[0][1][1]).abs().max())
    print(
        f"as they are: {seconds[0]:.3f} CPU s an image; as zero: {seconds[1]:.3f}, {seconds[0] / seconds[1]:.1f} times"
    )
    print(f"as fast; largest difference of a residual: {difference:.1e}")


if __name__ == "__main__":
    main()
