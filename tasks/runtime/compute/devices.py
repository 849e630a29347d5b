"""The devices of a stage: the CPU, or GPUs that it leases."""

import functools
import subprocess
from dataclasses import dataclass
from typing import Literal

import torch

from coronet_core.support.errors import ParamsError
from coronet_core.support.plurals import counted
from tasks.runtime.compute.gpu_locks import lease, lease_folder
from tasks.runtime.params.schema import Params
from tasks.runtime.progress import log


@dataclass(frozen=True)
class Gpu:
    """A GPU that CUDA_VISIBLE_DEVICES lets this process see."""

    index: int
    """torch's number: `cuda:index`."""
    uuid: str
    """The same in every process of the host, as CUDA_VISIBLE_DEVICES takes it: `GPU-...`."""


def device_type(params: Params) -> Literal["cpu", "cuda"]:
    """Return where the networks run. Raises ParamsError when that is a GPU and there is none."""
    if params.device == "cuda" and not torch.cuda.is_available():
        raise ParamsError("device = cuda: torch finds no GPU here. Set device to auto or cpu.")
    return "cuda" if params.device != "cpu" and torch.cuda.is_available() else "cpu"


def has_gpu_each(n_processes: int, params: Params) -> bool:
    """Whether `n_processes` on this host train on a GPU each; if not, on the CPU.

    Raises ParamsError when the params want GPUs and there are too few.
    """
    if device_type(params) == "cpu":
        return False
    n_gpus = torch.cuda.device_count()
    if n_gpus < n_processes and params.device == "cuda":
        raise ParamsError(
            f"training_processes = {n_processes}: with device = cuda each needs a GPU, and torch finds {n_gpus} here. "
            "Lower training_processes, or set device to auto or cpu."
        )
    if n_gpus < n_processes:
        log(f"{n_processes} training processes and {counted(n_gpus, 'GPU')}: training on the CPU")
    return n_gpus >= n_processes


@functools.cache
def leased_gpus(n: int, per_gpu: int) -> list[Gpu]:
    """Lease `n` GPUs, the least loaded of those that are free, until this process ends; says if it has to wait."""
    gpus = {gpu.uuid: gpu for gpu in visible_gpus()}
    loads = _used_mib()
    preferred = sorted(gpus, key=lambda uuid: loads.get(uuid, 0))

    def on_wait(taken: list[str]) -> None:
        log(
            f"waiting for a GPU: {len(taken)} of {len(gpus)} are in use by other stages; {n} needed "
            f"(stages_per_gpu = {per_gpu})"
        )

    return [gpus[uuid] for uuid in lease(preferred, n, per_gpu, lease_folder(), on_wait)]


def device_of(params: Params) -> torch.device:
    """Return where the networks of a process run that is alone. A GPU is leased until the process ends."""
    if device_type(params) == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", leased_gpus(1, params.stages_per_gpu)[0].index)
    torch.cuda.set_device(device)
    return device


def visible_gpus() -> list[Gpu]:
    """Return the GPUs that this process may use, in torch's order."""
    uuids = (str(torch.cuda.get_device_properties(index).uuid) for index in range(torch.cuda.device_count()))
    return [
        Gpu(index, uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}") for index, uuid in enumerate(uuids)
    ]


def _used_mib() -> dict[str, int]:
    """Return the memory in use on each GPU, by the driver's own tool: asking through torch would take memory itself."""
    rows = nvidia_smi_rows("uuid", "memory.used")  # without it, GPUs are taken in their order
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def nvidia_smi_rows(*columns: str) -> list[list[str]]:
    """Return what the driver's own tool says of each GPU of this host; empty without a driver."""
    query = ["nvidia-smi", f"--query-gpu={','.join(columns)}", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [[cell.strip() for cell in line.split(",")] for line in output.splitlines() if line.strip()]
