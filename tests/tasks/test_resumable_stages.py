"""Stages that are stopped half-way do not do again what they have done."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from coronet_core.attribution.randomisation import AUTOENCODERS, CIN_LEVELS
from coronet_core.models import FPAE, build_cin
from coronet_core.shards import Shards
from coronet_core.weights import save_weights
from tasks import build_split, explain, materialize_residuals
from tasks.explanation import runs
from tasks.params.data import PhantomPatients, PhantomSource
from tasks.params.file import read_params
from tasks.paths import (
    CIN_WEIGHTS,
    EXPLANATION_INDEX,
    EXPLANATION_MEASURES,
    PREDICTIONS,
    RESIDUALS,
    autoencoder_weights,
    explanation_maps,
)
from tasks.stage import StageContext
from tasks.tracking.run import StageRun
from tests.conftest import PROJECT


class Stopped(BaseException):
    """Stands for a kill: no handler of errors sees it."""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    """A project with a split of 12 phantoms and untrained networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    Path("data/raw").mkdir(parents=True)
    params = read_params(PROJECT / "params.yaml")
    source = PhantomSource(
        kind="phantom", patients=PhantomPatients(healthy=4, pneumonia=4, covid19=4), images_per_patient_max=1
    )
    params = replace(
        params,
        data=replace(params.data, sources=[source], shard_images=5),
        residuals=replace(params.residuals, shard_images=5),
        explain=replace(
            params.explain,
            images_per_class=1,
            batch_size=2,
            perturbation=replace(params.explain.perturbation, iterations=2),
            measures=replace(params.explain.measures, deletion_steps=2, randomisation_images=0, repeat_seeds=1),
        ),
    )
    context = StageContext(name="stage", params=params, tracking=StageRun("stage", {}))
    build_split.run(context)
    for label in ("healthy", "pneumonia"):
        save_weights(FPAE(), autoencoder_weights(label))
    save_weights(build_cin(), CIN_WEIGHTS)
    return context


def stopping_at(call: int, function: Callable[..., object]) -> tuple[Callable[..., object], list[int]]:
    """Return `function`, stopped at its call number `call`, and a list of the calls that came through."""
    calls: list[int] = []

    def counted(*arguments: object) -> object:
        if len(calls) == call:
            raise Stopped
        calls.append(len(calls))
        return function(*arguments)

    return counted, calls


def stop_and_run_again(
    module: ModuleType,
    part: str,
    context: StageContext,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
    in_between: Callable[[], object],
) -> int:
    """Stop a stage at the call number `stop_at` of the function `part`, run it again, and return the calls of that."""
    stage = explain if module is runs else module
    original = getattr(module, part)
    stopped, _ = stopping_at(stop_at, original)
    monkeypatch.setattr(module, part, stopped)
    with pytest.raises(Stopped):
        stage.run(context)
    in_between()
    counted, calls = stopping_at(99, original)
    monkeypatch.setattr(module, part, counted)
    stage.run(context)
    return len(calls)


def require_missing(path: Path) -> None:
    """A stage that was stopped has published nothing."""
    assert not path.exists()


def test_residual_shards_that_are_finished_are_kept(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_published = partial(require_missing, RESIDUALS)
    calls = stop_and_run_again(materialize_residuals, "compute_shard", context, monkeypatch, 2, nothing_published)
    assert calls == 1  # of 3 shards, 2 were there
    resumed = Shards.in_folder(RESIDUALS).take(np.arange(12))
    materialize_residuals.run(context)
    np.testing.assert_array_equal(Shards.in_folder(RESIDUALS).take(np.arange(12)), resumed)


def test_other_weights_make_all_residuals_anew(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    other_weights = partial(save_weights, FPAE(), autoencoder_weights("healthy"))
    assert stop_and_run_again(materialize_residuals, "compute_shard", context, monkeypatch, 2, other_weights) == 3


def test_maps_that_are_finished_are_kept_and_do_not_depend_on_the_batch(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = {
        "image_id": list("abc"),
        "patient_group": list("abc"),
        "stack_row": [0, 5, 11],
        "label": ["healthy", "pneumonia", "covid19"],
    }
    probabilities = {f"probability_{label}": [0.5, 0.5, 0.5] for label in predictions["label"]}
    PREDICTIONS.parent.mkdir(exist_ok=True)
    table = pd.DataFrame(predictions | {"predicted": ["healthy", "covid19", "covid19"]} | probabilities)
    table.to_parquet(PREDICTIONS)
    maps = explanation_maps("perturbation")
    # 6 methods on 2 batches, and the perturbation under another seed: 14 calls, of which 3 come through
    calls = stop_and_run_again(runs, "maps_of", context, monkeypatch, 3, partial(require_missing, maps))
    assert calls == 11
    in_twos = torch.from_numpy(np.load(maps))
    measures = json.loads(EXPLANATION_MEASURES.read_text())["methods"]["perturbation"]
    assert -1 <= measures["repeatability"] < 1
    alone = replace(context.params, explain=replace(context.params.explain, batch_size=1))
    explain.run(replace(context, params=alone))
    torch.testing.assert_close(torch.from_numpy(np.load(maps)), in_twos, atol=1e-4, rtol=0)
    assert pd.read_parquet(EXPLANATION_INDEX)["image_id"].tolist() == list("abc")


def test_every_method_loses_its_maps_to_random_weights_level_by_level(context: StageContext) -> None:
    PREDICTIONS.parent.mkdir(exist_ok=True)
    columns = {
        "image_id": ["a"],
        "patient_group": ["a"],
        "stack_row": [5],
        "label": ["pneumonia"],
        "predicted": ["pneumonia"],
    }
    pd.DataFrame(columns | {"probability_pneumonia": [0.5]}).to_parquet(PREDICTIONS)
    params = context.params.explain
    measures = replace(params.measures, randomisation_images=1, repeat_seeds=0)
    explain.run(replace(context, params=replace(context.params, explain=replace(params, measures=measures))))
    methods = json.loads(EXPLANATION_MEASURES.read_text())["methods"]
    assert set(methods) == {*params.methods, "random", "centre"}
    for method in params.methods:
        assert list(methods[method]["randomisation"]) == [*CIN_LEVELS, *AUTOENCODERS]
    assert methods["random"]["randomisation"] is None
