"""`cin.repetition`: other random numbers for the CIN, and for nothing else."""

from dataclasses import replace

import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo

from coronet_core.common.seeds import derive_seed
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tasks.train_cin.stage import cin_seed
from tests.conftest import PROJECT


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(PROJECT)
    return read_params()


def repeated(params: Params, repetition: int) -> Params:
    return replace(params, cin=replace(params.cin, repetition=repetition))


def test_the_first_training_has_the_seed_that_it_always_had(params: Params) -> None:
    assert params.cin.repetition == 0
    assert cin_seed(params) == derive_seed(params.seed, "cin")


def test_each_repetition_has_a_seed_of_its_own(params: Params) -> None:
    assert len({cin_seed(repeated(params, number)) for number in range(20)}) == 20


def test_no_stage_before_the_cin_depends_on_it() -> None:
    with Repo(str(PROJECT)) as repo:
        dependent = {
            stage.addressing
            for stage in repo.index.stages
            for dependency in stage.deps
            if isinstance(dependency, ParamsDependency) and "cin" in dependency.params
        }
    assert dependent == {"train_cin", "report"}
