"""The number format of a training: chosen once, kept with the checkpoint and the weights, reported everywhere."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.literals import PRECISION_KEY, Precision
from coronet_core.common.weights import read_metadata, save_weights
from coronet_core.learning.loop import EpochEnd
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import CIN_WEIGHTS, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tasks.train_autoencoder import stage as train_autoencoder
from tasks.training import training_run as training_stage
from tasks.training.checkpoints import save_checkpoint
from tasks.training.trained_precision import training_formats
from tests.tasks.finished_run import small_params

WEIGHTS = autoencoder_weights("healthy")
EPOCHS = 2


class Stopped(BaseException):
    """Stands for a kill: no handler of errors sees it."""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_split: Callable[[Params], None]) -> StageContext:
    """A project with a split of some phantoms, and a short training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
    params = small_params()
    params = replace(params, autoencoder=replace(params.autoencoder, epochs=EPOCHS, precision="auto"))
    context = StageContext(name="train_autoencoder@healthy", params=params, tracking=StageRun("train", {}))
    place_split(params)
    return context


def on_hardware_with(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coronet_core.common.precision.has_bfloat16", lambda _: precision == "bf16")


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_weights_log_and_mlflow_name_the_format(
    context: StageContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], precision: Precision
) -> None:
    on_hardware_with(precision, monkeypatch)
    train_autoencoder.run(context, "healthy")
    assert read_metadata(WEIGHTS) == {PRECISION_KEY: precision}
    name = {"bf16": "bfloat16", "fp32": "float32"}[precision]
    assert f"number format: {name} (precision: auto)" in capsys.readouterr().out
    (record,) = Path(".coronet/tracking").glob("*/events.jsonl")
    events = [json.loads(line) for line in record.read_text().splitlines()]
    assert {PRECISION_KEY: precision} in [event["values"] for event in events if event["kind"] == "tags"]


@pytest.mark.parametrize(("begun", "hardware"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_a_checkpoint_goes_on_in_the_format_it_began_with(
    context: StageContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    begun: Precision,
    hardware: Precision,
) -> None:
    on_hardware_with(begun, monkeypatch)
    train_autoencoder.run(context, "healthy")
    undisturbed = WEIGHTS.read_bytes()

    def save_and_stop(folder: Path, end: EpochEnd) -> None:
        save_checkpoint(folder, end)
        raise Stopped

    with monkeypatch.context() as stopping:
        stopping.setattr(training_stage, "save_checkpoint", save_and_stop)
        with pytest.raises(Stopped):
            train_autoencoder.run(context, "healthy")
    on_hardware_with(hardware, monkeypatch)
    train_autoencoder.run(context, "healthy")
    assert "as in the checkpoint" in capsys.readouterr().out
    assert WEIGHTS.read_bytes() == undisturbed


def test_formats_are_read_from_the_weights_that_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights(FPAE(), autoencoder_weights("healthy"), {PRECISION_KEY: "fp32"})
    save_weights(FPAE(), autoencoder_weights("pneumonia"))  # made elsewhere
    save_weights(build_cin(), CIN_WEIGHTS, {PRECISION_KEY: "<script>"})
    assert training_formats() == {"AE_H": "fp32"}
