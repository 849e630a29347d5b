"""What every stage is given, and the devices it runs on."""

import os
from dataclasses import dataclass

import torch

from coronet_core.cores import usable_cores
from tasks.devices import device_type, leased_device
from tasks.params.schema import Params
from tasks.ranks import NO_GROUP, Seat, ranks_on_host
from tasks.tracking.run import StageRun


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a stage's `run` is given."""

    name: str
    """As DVC calls the stage, with its item: `train_autoencoder@healthy`."""
    params: Params
    tracking: StageRun

    seat: Seat = NO_GROUP
    """Among the processes that train together; one process is alone."""

    @property
    def device_type(self) -> str:
        """Where the networks run: `cpu` or `cuda`. Asking leases nothing."""
        return device_type(self.params)

    @property
    def device(self) -> torch.device:
        """Where the networks run. Asking leases a GPU, if that is where, until the process ends."""
        if self.seat.device is not None:
            return self.seat.device
        return torch.device("cpu") if self.device_type == "cpu" else leased_device(self.params.stages_per_gpu)


def use_cpu_threads(share: int) -> None:
    """Use 1/`share` of the CPU's cores, unless OMP_NUM_THREADS says otherwise. Ranks on one host split that share.

    The number of threads decides the order of sums, and so the last bits of trained weights. It therefore depends on
    the stage alone, never on what happens to run beside it: `dvc repro` and the flow train the same weights.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // (share * ranks_on_host())))
