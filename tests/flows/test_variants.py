"""How many variants of a study run at once, and on what."""

from dataclasses import replace
from pathlib import Path

import pytest

from coronet_core.common.cpu_count import usable_cores
from flows.pipeline.variants import lanes
from tasks.runtime.params.file import read_params
from tasks.runtime.params.schema import Params
from tests.conftest import PROJECT


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(PROJECT)
    return read_params(Path("params.yaml"))


@pytest.mark.parametrize(
    ("n_gpus", "stages_per_gpu", "training_processes", "n_lanes"),
    [(0, 1, 1, 1), (1, 1, 1, 1), (3, 1, 1, 3), (2, 2, 1, 4), (4, 1, 2, 2), (1, 1, 4, 1)],
)
def test_by_itself_as_many_run_at_once_as_have_room_on_the_gpus(
    params: Params, n_gpus: int, stages_per_gpu: int, training_processes: int, n_lanes: int
) -> None:
    changed = replace(params, stages_per_gpu=stages_per_gpu, training_processes=training_processes)
    assert lanes(changed, n_gpus, None) == [{}] * n_lanes  # which GPU is settled by the stages' leases


def test_without_a_gpu_lanes_split_the_cores(params: Params) -> None:
    assert lanes(params, 0, 2) == [{"OMP_NUM_THREADS": str(max(1, usable_cores() // 2))}] * 2
