"""How many variants of a study run at once, on what, in which order, and how far they are."""

from dataclasses import replace
from pathlib import Path

import pytest

from coronet_core.common.cpu_count import usable_cores
from flows.pipeline.study_progress import StudyProgress
from flows.pipeline.variants import Study, Variant, lanes, waves
from tasks.runtime.params.checks import read_params
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


def test_a_variant_runs_behind_the_one_whose_results_it_begins_with() -> None:
    variants = [
        Variant(name=name, changes={}, begins_with=other)
        for name, other in (("image-2", "image-1"), ("image-1", "first"), ("both-1", "first"), ("first", None))
    ]
    assert [[one.name for one in wave] for wave in waves(variants)] == [["first"], ["image-1", "both-1"], ["image-2"]]


def test_it_begins_with_that_ones_workspace() -> None:
    study = Study(name="comparison", record="", last_stage="evaluate", with_results=False)
    assert study.results_of(Variant(name="a", changes={})) is None
    assert study.results_of(Variant(name="b", changes={}, begins_with="a")) == study.folder("a")
    assert study.folder("a") == Path(".coronet/workspaces/comparison/a")


def test_the_time_left_is_that_of_like_variants() -> None:
    progress = StudyProgress("comparison", [True, True, False, False, False], n_lanes=1)
    assert progress.text(0) == "0 of 5 variants done, 0:00:00 elapsed"
    progress.count(None, trains_autoencoders=True)
    assert progress.text(4) == "1 of 5 variants done, 0:00:04 elapsed", "it was up to date: nothing is known yet"
    progress.count(600, trains_autoencoders=True)
    assert progress.text(604) == "2 of 5 variants done, 0:10:04 elapsed, about 0:30:00 left"
    progress.count(100, trains_autoencoders=False)
    assert progress.text(704) == "3 of 5 variants done, 0:11:44 elapsed, about 0:03:20 left"
    for _ in range(2):
        progress.count(100, trains_autoencoders=False)
    assert progress.text(904) == "5 of 5 variants done, 0:15:04 elapsed"


def test_lanes_share_the_time_left_as_far_as_there_are_variants_for_them() -> None:
    progress = StudyProgress("ablation", [True] * 5, n_lanes=3)
    progress.count(60, trains_autoencoders=True)
    assert progress.text(60).endswith("about 0:01:20 left")
    for _ in range(2):
        progress.count(60, trains_autoencoders=True)
    assert progress.text(60).endswith("about 0:01:00 left")
