"""The load of the machine; NVML's library is played: no GPU is here whose driver it could ask."""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tasks.runtime.tracking import system_metrics as module
from tasks.runtime.tracking.system_metrics import system_metrics


class NVMLError(Exception):
    pass


def utilization(gpu: int) -> SimpleNamespace:
    if gpu == 0:
        raise NVMLError("Not Supported")
    return SimpleNamespace(gpu=40)


@pytest.fixture
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two cards, the first of which does not tell its load, as a part of one does not."""
    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(used=2_000_000, total=8_000_000),
        nvmlDeviceGetUtilizationRates=utilization,
    )
    monkeypatch.setattr(module.importlib, "import_module", lambda _: nvml)
    module._nvml.cache_clear()
    yield
    module._nvml.cache_clear()


@pytest.mark.usefixtures("_two_gpus")
def test_a_card_that_does_not_tell_everything_costs_no_other_figure() -> None:
    found = {name: value for name, value in system_metrics().items() if "gpu" in name}
    assert found == {
        "system/gpu_0_memory_usage_megabytes": 2,
        "system/gpu_0_memory_usage_percentage": 25,
        "system/gpu_1_memory_usage_megabytes": 2,
        "system/gpu_1_memory_usage_percentage": 25,
        "system/gpu_1_utilization_percentage": 40,
    }


def test_memory_is_of_this_machine() -> None:
    found = system_metrics()
    assert 0 < found["system/system_memory_usage_percentage"] < 100
    assert all(math.isfinite(value) for value in found.values())
