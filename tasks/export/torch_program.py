"""torch.export: the network as a program without classes, from which both kinds of file are written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from coronet_core.metrics.arrays import Floats
from tasks.export.export_options import Pixels
from tasks.export.exported_network import PROBABILITIES
from tasks.export.sample_images import Session, as_input

EXAMPLES = 2
"""Not one: torch.export takes a dimension of one for a constant."""
METADATA_FILE = "metadata.json"


def program_of(network: nn.Module, side_px: int, pixels: Pixels) -> ExportedProgram:
    """Trace `network` for images of `side_px` squared and any number of them."""
    shape = (EXAMPLES, 1, side_px, side_px)
    example = torch.zeros(shape, dtype=torch.uint8 if pixels is Pixels.UINT8 else torch.float32)
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes={"image": {0: Dim("batch", min=1)}})


def write_program(program: ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    """Write a `.pt2` file, with the metadata as `metadata.json` among its extra files."""
    with path.open("wb") as file:  # torch asks names for a suffix that a partial file does not have
        torch.export.save(program, file, extra_files={METADATA_FILE: json.dumps(metadata)})


def open_program(path: Path, pixels: Pixels) -> Session:
    """Load a `.pt2` file."""
    with path.open("rb") as file:
        return session_of(torch.export.load(file).module(), pixels)


def session_of(network: Callable[[Tensor], dict[str, Tensor]], pixels: Pixels) -> Session:
    """Run a network or a program that takes `pixels`."""

    @torch.no_grad()
    def answer(images: NDArray[np.uint8]) -> Floats:
        answers = network(torch.from_numpy(as_input(images, pixels)))
        return answers[PROBABILITIES].double().numpy()

    return answer
