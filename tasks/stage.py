"""What every stage is given, and the devices it runs on."""

import os
from dataclasses import dataclass

import torch

from coronet_core.cores import usable_cores
from coronet_core.errors import ParamsError
from tasks.params.schema import Device, Params
from tasks.tracking.run import StageRun


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a stage's `run` is given."""

    name: str
    """As DVC calls the stage, with its item: `train_autoencoder@healthy`."""
    params: Params
    tracking: StageRun

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return torch_device(self.params.device)


def torch_device(wanted: Device) -> torch.device:
    """Return the device that is `wanted`; `auto` is a GPU if there is one. Raises ParamsError for cuda without one."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ParamsError("device = cuda: torch finds no GPU here. Set device to auto or cpu.")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def use_cpu_threads(share: int) -> None:
    """Use 1/`share` of the CPU's cores, unless OMP_NUM_THREADS says otherwise.

    The number of threads decides the order of sums, and so the last bits of trained weights. It therefore depends on
    the stage alone, never on what happens to run beside it: `dvc repro` and the flow train the same weights.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // share))
