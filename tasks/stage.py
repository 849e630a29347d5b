"""What every stage is given, and the devices it runs on."""

import ctypes
import os
import sys
from dataclasses import dataclass
from typing import Final

import torch

from coronet_core.cores import usable_cores
from tasks.devices import device_type, leased_device
from tasks.params.schema import Params
from tasks.ranks import NO_GROUP, Seat, ranks_on_host
from tasks.tracking.run import StageRun

M_TRIM_THRESHOLD: Final = -1
M_MMAP_MAX: Final = -4
KEPT_BYTES: Final = 2**30


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

    What tensors give back is kept for the next ones.

    The number of threads decides the order of sums, and so the last bits of trained weights. It therefore depends on
    the stage alone, never on what happens to run beside it: `dvc repro` and the flow train the same weights.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // (share * ranks_on_host())))
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let this process keep up to a GiB of freed memory; returns whether its C library can (glibc can).

    By itself glibc maps each tensor of some MiB anew and unmaps it when it is freed: the kernel then clears the same
    pages in every layer of every pass, which takes as long as an autoencoder's float32 convolutions
    (benchmarks/LOG.md). No number changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all((mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)))
