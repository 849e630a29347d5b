"""Trials of a search: epochs as a stage reports them, and when a trial is pruned."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.pruners import MedianPruner, NopPruner

from flows.pipeline.trials import TrialEpochs, TrialPrunedError
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.paths import CIN_HISTORY
from tasks.runtime.progress import MetricsEvent
from tasks.studies.search_objective import OBJECTIVES
from tests.conftest import PROJECT

LOSS = OBJECTIVES["validation_loss"]


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> CinParams:
    monkeypatch.chdir(PROJECT)
    return read_params(Path("params.yaml")).cin


@pytest.fixture
def study() -> Iterator[optuna.Study]:
    """A study in which another trial has a loss of 0.5 at epoch 1 and of 0.3 at epoch 2."""
    study = optuna.create_study(pruner=MedianPruner(n_startup_trials=1))
    other = study.ask()
    other.report(0.5, 1)
    other.report(0.3, 2)
    study.tell(other, 0.3)
    return study


def epoch(step: int, loss: float) -> MetricsEvent:
    return MetricsEvent(step=step, values={"training_loss": 1.0, "validation_loss": loss, "validation_accuracy": 0.5})


def reported(study: optuna.Study) -> dict[int, float]:
    return study.trials[-1].intermediate_values


def test_a_trial_is_pruned_by_the_loss_of_its_best_epoch(study: optuna.Study, params: CinParams) -> None:
    epochs = TrialEpochs(study.ask(), LOSS, params)
    epochs.on_metrics("train_cin", epoch(1, 0.4))
    with pytest.raises(TrialPrunedError, match="pruned after epoch 2"):
        epochs.on_metrics("train_cin", epoch(2, 0.6))
    assert epochs.is_pruned
    assert reported(study) == {1: 0.4, 2: 0.4}


def test_epochs_of_a_stage_that_was_tried_again_count_once(study: optuna.Study, params: CinParams) -> None:
    epochs = TrialEpochs(study.ask(), LOSS, params)
    for event in (epoch(1, 0.4), epoch(1, 0.1), epoch(2, 0.2)):
        epochs.on_metrics("train_cin", event)
    assert reported(study) == {1: 0.4, 2: 0.2}


def test_an_autoencoders_epochs_are_none_of_the_cin(study: optuna.Study, params: CinParams) -> None:
    epochs = TrialEpochs(study.ask(), LOSS, params)
    epochs.on_metrics("train_autoencoder@healthy", MetricsEvent(step=1, values={"validation_loss": 9.0}))
    epochs.on_metrics("train_cin", epoch(1, 0.4))
    assert reported(study) == {1: 0.4}


@pytest.mark.parametrize("first", [0, 1])
def test_restored_epochs_have_the_numbers_of_those_that_are_trained(
    study: optuna.Study, params: CinParams, tmp_path: Path, first: int
) -> None:
    """With a fitted head the history begins with epoch 0, the start."""
    losses = (0.4, 0.6, 0.2)
    rows = [f"{first + n},{loss},0.5" for n, loss in enumerate(losses)]
    (tmp_path / CIN_HISTORY).parent.mkdir(parents=True)
    (tmp_path / CIN_HISTORY).write_text("\n".join(["epoch,validation_loss,validation_accuracy", *rows]) + "\n")
    TrialEpochs(study.ask(), LOSS, params).report_restored(tmp_path)
    restored = reported(study)
    study.pruner = NopPruner()
    trained = TrialEpochs(study.ask(), LOSS, params)
    for n, loss in enumerate(losses):
        trained.on_metrics("train_cin", epoch(first + n, loss))
    assert restored == reported(study) == {first: 0.4, first + 1: 0.4, first + 2: 0.2}


def test_a_figure_of_no_epoch_prunes_nothing(study: optuna.Study, params: CinParams) -> None:
    epochs = TrialEpochs(study.ask(), OBJECTIVES["validation_nll"], params)
    epochs.on_metrics("train_cin", epoch(1, 99.0))
    assert reported(study) == {}
