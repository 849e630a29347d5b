"""A process's share of the CPU: threads, and memory that it keeps."""

import ctypes
import os
import sys
from typing import Final

import torch

from coronet_core.common.cpu_count import usable_cores
from tasks.runtime.compute.distributed import ranks_on_host

M_TRIM_THRESHOLD: Final = -1
M_MMAP_MAX: Final = -4
M_ARENA_MAX: Final = -8
KEPT_BYTES: Final = 2**30


def use_cpu_threads(share: int) -> None:
    """Use 1/`share` of the CPU's cores, unless OMP_NUM_THREADS says otherwise. Ranks on one host split that share.

    What tensors give back is kept for the next ones, and denormal numbers count as zero.

    The number of threads decides the order of sums, and so the last bits of trained weights. It therefore depends on
    the stage alone, never on what happens to run beside it: `dvc repro` and the flow train the same weights.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // (share * ranks_on_host())))
    count_denormals_as_zero()
    keep_freed_memory()


def count_denormals_as_zero() -> None:
    """Let this thread, and those that it starts from now on, take float32 numbers below 1.2e-38 for zero.

    Weight decay over many epochs leaves such numbers in autoencoders, the authors' among them, and CPUs compute with
    them several times slower (benchmarks/LOG.md). Some processors cannot do this: they stay as slow.
    """
    torch.set_flush_denormal(True)


def keep_freed_memory() -> bool:
    """Let this process keep up to a GiB of freed memory; returns whether its C library can (glibc can).

    By itself glibc maps each tensor of some MiB anew and unmaps it when it is freed: the kernel then clears the same
    pages in every layer of every pass, which takes as long as an autoencoder's float32 convolutions. All threads share
    one arena: those of further threads are made of heaps of 64 MiB, too small for tensors, in which a service keeps
    more and more memory in pieces that nothing fits into (both: benchmarks/LOG.md). No number changes.

    Threads that have allocated before keep their arenas: call it first.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all((mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, KEPT_BYTES), mallopt(M_ARENA_MAX, 1)))
