"""What this machine has: disk, memory, threads, the number format of the networks, GPUs."""

import os
import shutil
from pathlib import Path
from typing import Final

import psutil
import torch

from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.precision import CAPABILITIES_WITHOUT_BF16, choose_precision
from coronet_core.support.errors import CoroNetError
from flows.overview.finding import Finding
from tasks.runtime.compute.devices import device_type, nvidia_smi_rows
from tasks.runtime.params.schema import Params
from tasks.runtime.resource_limits import group_limit, limit, require_address_space
from tasks.training.trained_precision import FORMAT_NAMES

GIB: Final = 2**30
DISK_GIB: Final = 5.0
MEMORY_GIB: Final = 4.0
"""With less of either there is a warning."""
THREADS_VARIABLE: Final = "OMP_NUM_THREADS"
HELD_BACK_BY: Final = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
"""Environment variables that make torch and oneDNN take a processor for an older one."""
SLOW: Final = "DEFAULT"
"""torch's word for a processor without AVX2."""


def check_disk() -> Finding:
    """Return the free space of the disk that the current folder is on."""
    free = shutil.disk_usage(Path.cwd()).free / GIB
    found = f"{free:.1f} GiB free in {Path.cwd()}"
    if free >= DISK_GIB:
        return Finding(what="disk", found=found)
    remedy = "Free some space, or work on another disk. `dvc gc --workspace` deletes results of former runs."
    return Finding(what="disk", found=found, level="warning", remedy=remedy)


def check_memory() -> Finding:
    """Return the memory that is free, by the limits of this process and its container, too."""
    memory = psutil.virtual_memory()
    limits = {"container": group_limit(), "`ulimit -v`": limit("RLIMIT_AS")}
    free = min(memory.available, *(allowed for allowed in limits.values() if allowed is not None), memory.total) / GIB
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    found += "".join(f", {name} allows {one / GIB:.1f} GiB" for name, one in limits.items() if one is not None)
    try:
        require_address_space()
    except CoroNetError as error:
        return Finding(what="memory", found=found, level="missing", remedy=str(error))
    if free >= MEMORY_GIB:
        return Finding(what="memory", found=found)
    remedy = "Stop other programs, or lower batch sizes in params.yaml."
    return Finding(what="memory", found=found, level="warning", remedy=remedy)


def check_threads() -> Finding:
    """Return how many threads a stage that runs alone computes with."""
    cores = f"{usable_cores()} of {os.cpu_count()} cores usable"
    asked = os.environ.get(THREADS_VARIABLE)
    if asked is None:
        return Finding(what="threads", found=cores)
    found = f"{cores}, {THREADS_VARIABLE}={asked}"
    if asked.isdigit() and int(asked) == usable_cores():
        return Finding(what="threads", found=found)
    remedy = f"Unset {THREADS_VARIABLE} to use all cores; another number of threads changes the last bits of weights."
    return Finding(what="threads", found=found, level="warning", remedy=remedy)


def check_number_format(params: Params | None) -> Finding:
    """Return the format that `precision: auto` means on the processor, and what `params` ask for."""
    here = choose_precision("auto", torch.device("cpu"))
    capability = torch.backends.cpu.get_cpu_capability()
    found = f"CPU ({capability}): {FORMAT_NAMES[here]}, by precision: auto"
    held = [f"{name}={os.environ[name]}" for name in HELD_BACK_BY if name in os.environ]
    if here == "fp32" and held:
        remedy = f"Unset {' and '.join(held)}: it may slow the processor down."
    elif capability == SLOW:
        remedy = "The processor has no AVX2: training takes several times as long. Use another machine."
    elif here == "fp32" and params is not None and (keys := _forced_to_bf16(params)):
        remedy = f"{' and '.join(keys)} = bf16 is emulated here and slow. Set fp32 in params.yaml."
    else:
        no_avx512 = " (no AVX-512)" if capability in CAPABILITIES_WITHOUT_BF16 else " (no AVX512_BF16, no AMX)"
        return Finding(what="number format", found=found + (no_avx512 if here == "fp32" else ""))
    return Finding(what="number format", found=found, level="warning", remedy=remedy)


def check_gpus(params: Params | None) -> Finding:
    """Return the GPUs that torch finds."""
    indices = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    if params is not None:
        try:
            device_type(params)
        except CoroNetError as error:
            return Finding(what="GPU", found="none", level="missing", remedy=str(error))
    if indices:
        return Finding(what="GPU", found="; ".join(map(_gpu, indices)))
    if not nvidia_smi_rows("uuid"):
        return Finding(what="GPU", found="none: networks run on the CPU")
    remedy = f"torch {torch.__version__} does not find it: install the build of torch for the driver's CUDA version."
    return Finding(what="GPU", found="nvidia-smi lists one", level="warning", remedy=remedy)


def _gpu(index: int) -> str:
    found = torch.cuda.get_device_properties(index)
    precision = FORMAT_NAMES[choose_precision("auto", torch.device("cuda", index))]
    return f"{found.name}, {found.total_memory / GIB:.0f} GiB, {precision}"


def _forced_to_bf16(params: Params) -> list[str]:
    if params.device != "cpu" and torch.cuda.is_available():
        return []
    asked = {
        "autoencoder": params.autoencoder.precision,
        "residuals": params.residuals.precision,
        "cin": params.cin.precision,
    }
    return [f"{section}.precision" for section, precision in asked.items() if precision == "bf16"]
