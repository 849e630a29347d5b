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

from coronet_core.attribution.randomisation import AUTOENCODERS
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.cin_design import CinDesign
from coronet_core.common.classes import CLASSES
from coronet_core.common.shards import Shards
from coronet_core.common.weights import save_weights
from tasks.explain import method_runs as runs
from tasks.explain import stage as explain
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import PhantomPatients, PhantomSource
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import (
    CIN_WEIGHTS,
    EXPLANATION_INDEX,
    EXPLANATION_MEASURES,
    PREDICTIONS,
    RESIDUALS,
    STATE,
    autoencoder_weights,
    explanation_maps,
)
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tasks.train_autoencoder import stage as train_autoencoder
from tasks.train_cin import stage as train_cin
from tasks.training import training_run as training_stage
from tests.conftest import PARAMS
from tests.tasks.damage import DAMAGES, Damage, every_damage, spoil

pytestmark = pytest.mark.usefixtures("without_mlflow")


class Stopped(BaseException):
    """Stands for a kill: no handler of errors sees it."""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_split: Callable[[Params], None]) -> StageContext:
    """A project with a split of 12 phantoms and untrained networks."""
    monkeypatch.chdir(tmp_path)
    params = read_params(PARAMS)
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
    place_split(params)
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


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(("residuals/shard-00000.npy", damage) for damage in DAMAGES),
        ("energies-00000.npz", "half"),
        ("energies-00000.npz", "other bytes in the middle"),
    ],
)
def test_a_damaged_residual_shard_is_computed_again(
    context: StageContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, damage: str
) -> None:
    damaged = STATE / "resume/materialize_residuals" / file
    spoiling = partial(spoil, damaged, DAMAGES[damage])
    calls = stop_and_run_again(materialize_residuals, "compute_shard", context, monkeypatch, 2, spoiling)
    assert calls == 2  # of 3 shards, 2 were there
    assert capsys.readouterr().err.count(f"warning: {damaged} is damaged") == 1
    shards = [f"shard-{number:05d}.npy" for number in range(3)]
    assert sorted(path.name for path in RESIDUALS.iterdir()) == ["index.parquet", *shards]
    resumed = Shards.in_folder(RESIDUALS).take(np.arange(12))
    materialize_residuals.run(context)
    np.testing.assert_array_equal(Shards.in_folder(RESIDUALS).take(np.arange(12)), resumed)


def test_a_damaged_stamp_is_a_fresh_start(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    spoiling = partial(spoil, STATE / "resume/materialize_residuals/work", DAMAGES["other first bytes"])
    assert stop_and_run_again(materialize_residuals, "compute_shard", context, monkeypatch, 2, spoiling) == 3


@every_damage
def test_an_epoch_whose_checkpoint_is_damaged_is_trained_again_to_the_same_weights(
    context: StageContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: Damage
) -> None:
    params = replace(context.params.autoencoder, epochs=3, batch_size=2, precision="fp32", training_size_px=None)
    context = replace(context, name="train_autoencoder@healthy", params=replace(context.params, autoencoder=params))
    train_autoencoder.run(context, "healthy")
    undisturbed = autoencoder_weights("healthy").read_bytes()
    stopped, _ = stopping_at(2, training_stage.save_checkpoint)
    with monkeypatch.context() as until_then:
        until_then.setattr(training_stage, "save_checkpoint", stopped)
        with pytest.raises(Stopped):
            train_autoencoder.run(context, "healthy")
    damaged = STATE / "resume" / context.name / "epoch-00002.checkpoint"
    spoil(damaged, damage)
    capsys.readouterr()
    train_autoencoder.run(context, "healthy")
    told = capsys.readouterr()
    assert told.err.count(f"warning: {damaged} is damaged") == 1
    assert "resuming after epoch 1 of 3" in told.out
    assert autoencoder_weights("healthy").read_bytes() == undisturbed


def test_another_file_of_pretrained_weights_is_other_work(
    context: StageContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    materialize_residuals.run(context)
    save_weights(build_cin(), Path("backbone.safetensors"))
    params = replace(context.params.cin, epochs=2, batch_size=4, pretrained="backbone.safetensors", precision="fp32")
    context = replace(context, name="train_cin", params=replace(context.params, cin=params))

    def output_until(epoch: int) -> str:
        stopped, _ = stopping_at(epoch, training_stage.save_checkpoint)
        with monkeypatch.context() as until_then:
            until_then.setattr(training_stage, "save_checkpoint", stopped)
            with pytest.raises(Stopped):
                train_cin.run(context)
        return capsys.readouterr().out

    output_until(1)
    assert "resuming after epoch 1 of 2" in output_until(0)
    save_weights(build_cin(), Path("backbone.safetensors"))
    assert "resuming" not in output_until(0)


def test_other_weights_make_all_residuals_anew(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    other_weights = partial(save_weights, FPAE(), autoencoder_weights("healthy"))
    assert stop_and_run_again(materialize_residuals, "compute_shard", context, monkeypatch, 2, other_weights) == 3


@pytest.mark.slow
def test_maps_that_are_finished_and_whole_are_kept_and_do_not_depend_on_the_batch(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = {
        "image_id": list("abc"),
        "patient_group": list("abc"),
        "stack_row": [0, 5, 11],
        "label": ["healthy", "pneumonia", "covid19"],
    }
    kinds = ("probability", "calibrated")
    probabilities = {f"{kind}_{label}": [0.5, 0.5, 0.5] for kind in kinds for label in predictions["label"]}
    PREDICTIONS.parent.mkdir(exist_ok=True)
    table = pd.DataFrame(predictions | {"predicted": ["healthy", "covid19", "covid19"]} | probabilities)
    table.to_parquet(PREDICTIONS)
    maps = explanation_maps("perturbation")
    damaged = STATE / "resume/stage/maps-perturbation-00000.npz"

    def damage_one_of_them() -> None:
        require_missing(maps)
        spoil(damaged, DAMAGES["half"])

    # 6 methods on 2 batches, the perturbation under another seed, the gallery: 16 calls, of which 3 come through
    calls = stop_and_run_again(runs, "maps_of", context, monkeypatch, 3, damage_one_of_them)
    assert calls == 14
    in_twos = torch.from_numpy(np.load(maps))
    measures = json.loads(EXPLANATION_MEASURES.read_text())["methods"]["perturbation"]
    assert -1 <= measures["repeatability"] < 1
    alone = replace(context.params, explain=replace(context.params.explain, batch_size=1))
    explain.run(replace(context, params=alone))
    torch.testing.assert_close(torch.from_numpy(np.load(maps)), in_twos, atol=1e-4, rtol=0)
    assert pd.read_parquet(EXPLANATION_INDEX)["image_id"].tolist() == list("abc")


@pytest.mark.slow
def test_every_method_loses_its_maps_to_random_weights_level_by_level(context: StageContext) -> None:
    PREDICTIONS.parent.mkdir(exist_ok=True)
    columns = {
        "image_id": ["a"],
        "patient_group": ["a"],
        "stack_row": [5],
        "label": ["pneumonia"],
        "predicted": ["pneumonia"],
    }
    calibrated = {f"calibrated_{label}": [0.5] for label in CLASSES}
    pd.DataFrame(columns | calibrated | {"probability_pneumonia": [0.5]}).to_parquet(PREDICTIONS)
    params = context.params.explain
    measures = replace(params.measures, randomisation_images=1, repeat_seeds=0)
    explain.run(replace(context, params=replace(context.params, explain=replace(params, measures=measures))))
    methods = json.loads(EXPLANATION_MEASURES.read_text())["methods"]
    assert set(methods) == {*params.methods, "random", "centre"}
    cin_levels = [f"cin.{level}" for level in CinDesign().modules_by_level()]
    for method in params.methods:
        assert list(methods[method]["randomisation"]) == [*cin_levels, *AUTOENCODERS]
    assert methods["random"]["randomisation"] is None
