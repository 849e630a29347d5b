"""Checkpoints: two are kept, and a damaged one costs an epoch, not the stage."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.common.batches import Subset
from coronet_core.common.shards import Shards, write_shard
from coronet_core.learning.loop import EpochEnd, Learner, Schedule, fit
from coronet_core.learning.ranks import ALONE
from coronet_core.support.whole_files import write_sealed
from tasks.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from tests.tasks.damage import Damage, every_damage, spoil

EPOCHS = 4
SCHEDULE = Schedule(
    epochs=EPOCHS, batch_size=2, epoch_fraction=1.0, best_by="validation_loss", patience_epochs=None, seed=1
)


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.fixture
def new_learner(tmp_path: Path) -> Callable[[], Learner]:
    """A function that returns an untrained autoencoder on six images, the same each time."""
    write_shard(tmp_path / "images", 0, np.random.default_rng(0).integers(0, 256, (6, 64, 64), dtype=np.uint8))
    images = Subset(Shards.in_folder(tmp_path / "images"), range(6), torch.device("cpu"))

    def new() -> Learner:
        torch.manual_seed(5)
        return autoencoder_learner(
            FPAE(),
            images,
            images,
            learning_rate=0.01,
            weight_decay=0.0,
            regulariser_weight=1.0,
            batch_size=2,
            precision="fp32",
            training_size_px=None,
        )

    return new


@pytest.fixture
def kept(tmp_path: Path, new_learner: Callable[[], Learner]) -> Path:
    """The checkpoints of a training that was stopped behind its third epoch."""
    folder = tmp_path / "resume"

    def stop_after_the_third(end: EpochEnd) -> None:
        save_checkpoint(folder, end)
        if end.metrics["epoch"] == 3:
            raise Stopped

    with pytest.raises(Stopped):
        fit(new_learner(), SCHEDULE, on_epoch=stop_after_the_third)
    return folder


def epochs_in(checkpoint: Checkpoint | None) -> int:
    assert checkpoint is not None
    return len(checkpoint["history"])


def weights(learner: Learner) -> Tensor:
    return torch.cat([value.flatten().double() for value in learner.model.state_dict().values()])


def test_two_are_kept_and_the_newer_one_counts(kept: Path) -> None:
    assert sorted(path.name for path in kept.iterdir()) == ["epoch-00002.checkpoint", "epoch-00003.checkpoint"]
    assert epochs_in(load_checkpoint(kept, ALONE)) == 3


@every_damage
def test_a_damaged_one_is_set_aside_and_training_ends_with_the_same_weights(
    kept: Path, new_learner: Callable[[], Learner], damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed, resumed = new_learner(), new_learner()
    fit(undisturbed, SCHEDULE)
    spoil(kept / "epoch-00003.checkpoint", damage)
    checkpoint = load_checkpoint(kept, ALONE)
    assert epochs_in(checkpoint) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "epoch-00003.checkpoint is damaged" in line
    assert len(fit(resumed, SCHEDULE, resume=checkpoint)) == EPOCHS
    assert torch.equal(weights(resumed), weights(undisturbed))


@every_damage
def test_where_both_are_damaged_training_starts_anew(
    kept: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(kept.iterdir()):
        spoil(path, damage)
    assert load_checkpoint(kept, ALONE) is None
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert load_checkpoint(kept, ALONE) is None
    assert capsys.readouterr().err == ""


def test_what_torch_refuses_to_read_is_set_aside_without_its_advice(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sealed(kept / "epoch-00004.checkpoint", pickle.dumps(Path("a class")))
    assert epochs_in(load_checkpoint(kept, ALONE)) == 3
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "weights_only" not in told
