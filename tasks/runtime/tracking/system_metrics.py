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
    """Return the use of CPU (since the last call), memory and, where NVML can be asked, of each GPU."""
    memory = psutil.virtual_memory()
    found = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / MEGABYTE,
        "system/system_memory_usage_percentage": memory.percent,
    }
    if (nvml := _nvml()) is None:
        return found
    with suppress(nvml.NVMLError):  # some cards, and parts of cards, do not tell everything
        for number in range(nvml.nvmlDeviceGetCount()):
            gpu = nvml.nvmlDeviceGetHandleByIndex(number)
            used, load = nvml.nvmlDeviceGetMemoryInfo(gpu), nvml.nvmlDeviceGetUtilizationRates(gpu)
            found[f"system/gpu_{number}_memory_usage_megabytes"] = used.used / MEGABYTE
            found[f"system/gpu_{number}_memory_usage_percentage"] = 100 * used.used / used.total
            found[f"system/gpu_{number}_utilization_percentage"] = float(load.gpu)
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
