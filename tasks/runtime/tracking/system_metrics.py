"""The load of this machine, under the names that MLflow charts as system metrics.

MLflow's own monitor needs MLflow in the training process, and a server that has received the run.
"""

import importlib
from contextlib import suppress
from functools import cache
from typing import Any

import psutil

MEGABYTE = 1e6


def system_metrics() -> dict[str, float]:
    """Return the use of CPU (since the last call, or since psutil was imported), memory and each GPU of NVML."""
    memory = psutil.virtual_memory()
    found = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / MEGABYTE,
        "system/system_memory_usage_percentage": memory.percent,
    }
    if (nvml := _nvml()) is not None:
        for number in range(nvml.nvmlDeviceGetCount()):
            found |= _gpu_metrics(nvml, number)
    return found


def _gpu_metrics(nvml: Any, number: int) -> dict[str, float]:
    """Return what GPU `number` tells: some cards, and parts of cards, do not tell everything."""
    found = {}
    with suppress(nvml.NVMLError):
        gpu = nvml.nvmlDeviceGetHandleByIndex(number)
        memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
        found[f"system/gpu_{number}_memory_usage_megabytes"] = memory.used / MEGABYTE
        found[f"system/gpu_{number}_memory_usage_percentage"] = 100 * memory.used / memory.total
        found[f"system/gpu_{number}_utilization_percentage"] = float(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
    return found


@cache
def _nvml() -> Any:
    """Return the NVML library, initialised; None where it is not installed or finds no driver."""
    with suppress(ImportError):
        nvml = importlib.import_module("pynvml")  # package nvidia-ml-py, which only machines with a GPU need
        with suppress(nvml.NVMLError):
            nvml.nvmlInit()
            return nvml
    return None
