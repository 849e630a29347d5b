"""The objective, the loop, and what the two networks give it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.autoencoder.objective import autoencoder_loss
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.augmentation import flipped, random_mask
from coronet_core.classifier.cin_learner import cin_learner, inverse_frequency_weights
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset, as_image
from coronet_core.common.shards import Shards, write_shard
from coronet_core.learning.loop import EpochEnd, Learner, Schedule, fit
from coronet_core.support.errors import TrainingError

CPU = torch.device("cpu")
N_IMAGES = 6


@pytest.fixture
def images(tmp_path: Path) -> Subset:
    pixels = np.random.default_rng(0).integers(0, 256, (N_IMAGES, 64, 64), dtype=np.uint8)
    write_shard(tmp_path, 0, pixels)
    return Subset(Shards.in_folder(tmp_path), range(N_IMAGES), CPU)


def schedule(**changes: Any) -> Schedule:
    settings = {
        "epochs": 3,
        "batch_size": 2,
        "epoch_fraction": 1.0,
        "best_by": "validation_loss",
        "patience_epochs": None,
        "seed": 1,
    }
    return Schedule(**(settings | changes))


def autoencoder_learner_of(images: Subset) -> Learner:
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


def weights(learner: Learner) -> Tensor:
    return torch.cat([value.flatten().double() for value in learner.model.state_dict().values()])


def test_objective_is_the_reconstruction_error_plus_lambda_times_the_regulariser() -> None:
    autoencoder, image = FPAE().eval(), torch.rand(2, 1, 64, 64)
    loss = autoencoder_loss(autoencoder, image, regulariser_weight=3.0)
    reconstruction, latent = autoencoder(image)
    _, latent_again = autoencoder(reconstruction)  # the whole pass, where the objective runs the encoder alone
    torch.testing.assert_close(loss.reconstruction, ((image - reconstruction) ** 2).mean())
    torch.testing.assert_close(loss.regulariser, ((latent - latent_again) ** 2).mean())
    torch.testing.assert_close(loss.loss, loss.reconstruction + 3 * loss.regulariser)


def test_gradients_of_the_regulariser_flow_through_both_latents() -> None:
    autoencoder, image = FPAE(), torch.rand(2, 1, 64, 64)
    autoencoder_loss(autoencoder, image, regulariser_weight=1.0).regulariser.backward()
    assert autoencoder.decoder.up[0].weight.grad.abs().sum() > 0  # reached only through Z~ = E(X~)


def test_encoder_alone_updates_batch_norm_like_a_whole_second_pass() -> None:
    image = torch.rand(2, 1, 64, 64)
    ours, whole = FPAE(), FPAE()
    whole.load_state_dict(ours.state_dict())
    autoencoder_loss(ours, image, regulariser_weight=1.0)
    whole(whole(image).reconstruction)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


def test_without_lambda_the_reconstruction_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    autoencoder = FPAE()
    monkeypatch.setattr(autoencoder, "encode", lambda _: pytest.fail("encoded"))
    loss = autoencoder_loss(autoencoder, torch.rand(1, 1, 64, 64), regulariser_weight=0.0)
    assert loss.loss == loss.reconstruction


def test_two_runs_give_identical_weights(images: Subset) -> None:
    first, second = autoencoder_learner_of(images), autoencoder_learner_of(images)
    assert fit(first, schedule()) == fit(second, schedule())
    assert torch.equal(weights(first), weights(second))


def test_training_lowers_the_loss(images: Subset) -> None:
    history = fit(autoencoder_learner_of(images), schedule(epochs=6))
    assert history[-1]["training_loss"] < 0.7 * history[0]["training_loss"]


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_resumed_training_ends_with_the_weights_of_an_undisturbed_run(images: Subset, stopped_after: int) -> None:
    undisturbed = autoencoder_learner_of(images)
    checkpoints: list[dict[str, Any]] = []

    def keep(end: EpochEnd) -> None:
        checkpoints.append(through_a_file(end.checkpoint()))

    expected = fit(undisturbed, schedule(), on_epoch=keep)
    torch.manual_seed(77)
    resumed = autoencoder_learner_of(images)
    history = fit(resumed, schedule(), resume=checkpoints[stopped_after - 1])
    assert history == expected
    assert torch.equal(weights(resumed), weights(undisturbed))


def through_a_file(checkpoint: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    buffer.seek(0)
    return dict(torch.load(buffer, weights_only=True))


def scripted_learner(validation_losses: list[float], **metrics: list[float]) -> Learner:
    """A model that counts its steps, with validation figures written in advance."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    losses = iter(validation_losses)

    def validate() -> dict[str, float]:
        return {"validation_loss": next(losses), **{name: values.pop(0) for name, values in metrics.items()}}

    return Learner(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        n_images=4,
        device=CPU,
        training_step=lambda _, __: {"loss": -model.weight.sum()},  # each step adds 1 to the weight
        validate=validate,
    )


def test_weights_of_the_best_epoch_are_kept() -> None:
    learner = scripted_learner([3.0, 1.0, 2.0])
    fit(learner, schedule(batch_size=4))
    assert learner.model.weight.item() == 2.0


def test_an_accuracy_is_maximised() -> None:
    learner = scripted_learner([1.0, 2.0, 3.0], validation_accuracy=[0.5, 0.6, 0.9])
    fit(learner, schedule(batch_size=4, best_by="validation_accuracy"))
    assert learner.model.weight.item() == 3.0


def test_training_stops_when_patience_is_exhausted() -> None:
    history = fit(scripted_learner([2.0, 1.0, 3.0, 3.0, 0.1]), schedule(epochs=5, patience_epochs=2))
    assert len(history) == 4


def test_a_loss_that_is_not_finite_stops_training_with_a_remedy() -> None:
    with pytest.raises(TrainingError, match=r"epoch 2: validation_loss is nan.*Lower the learning rate"):
        fit(scripted_learner([1.0, float("nan"), 1.0]), schedule())


def test_epoch_fraction_visits_a_share_of_the_images() -> None:
    steps: list[int] = []
    fit(scripted_learner([1.0]), schedule(epochs=1, batch_size=1, epoch_fraction=0.5), on_step=steps.append)
    assert steps == [1, 1]


def test_training_size_resizes_by_nearest_neighbour(images: Subset, monkeypatch: pytest.MonkeyPatch) -> None:
    autoencoder, seen = FPAE(), []
    forward = autoencoder.forward
    monkeypatch.setattr(autoencoder, "forward", lambda image: (seen.append(image.clone()), forward(image))[1])
    learner = autoencoder_learner(
        autoencoder,
        images,
        images,
        learning_rate=0.01,
        weight_decay=0.0,
        regulariser_weight=0.0,
        batch_size=2,
        precision="fp32",
        training_size_px=128,
    )
    learner.training_step(torch.tensor([0]), torch.Generator())
    expected = functional.interpolate(as_image(images.take(torch.tensor([0]))), size=(128, 128), mode="nearest")
    assert torch.equal(seen[0], expected)


def test_flips_spare_the_classes_that_may_not_be_flipped() -> None:
    x = torch.arange(200.0).view(100, 1, 1, 2)
    may_flip = torch.arange(100) < 50
    coin = random_mask(len(x), torch.Generator().manual_seed(0), CPU)
    differs = (flipped(x, coin & may_flip, 3) != x).any(dim=3).flatten()
    assert not differs[50:].any()
    assert 10 < differs[:50].sum() < 40


def test_inverse_frequency_weights_balance_the_classes() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 1)
    class_weights = inverse_frequency_weights(labels)
    torch.testing.assert_close(class_weights * torch.tensor([6.0, 3.0, 1.0]), torch.full((3,), 10 / 3))


def test_cin_learns_residuals_that_tell_the_classes_apart(tmp_path: Path) -> None:
    labels = torch.arange(60) % 3
    residuals = np.random.default_rng(0).random((60, 3, 32, 32)).astype(np.float16) * 0.05
    residuals[np.arange(60), labels.numpy()] += np.float16(0.2)  # class c has energy in channel c
    write_shard(tmp_path / "residuals", 0, residuals)
    write_shard(tmp_path / "images", 0, np.zeros((60, 32, 32), dtype=np.uint8))

    def inputs(rows: range) -> CinInputs:
        subsets = [Subset(Shards.in_folder(tmp_path / name), rows, CPU) for name in ("images", "residuals")]
        return CinInputs("residual_tensor", *subsets)

    learner = cin_learner(
        build_cin(),
        inputs(range(48)),
        labels[:48],
        inputs(range(48, 60)),
        labels[48:],
        learning_rate=0.001,
        weight_decay=0.0,
        class_weights=torch.ones(3),
        horizontal_flip=[0, 1, 2],
        vertical_flip=[0, 1, 2],
        batch_size=8,
        precision="fp32",
    )
    history = fit(learner, schedule(epochs=12, batch_size=8))  # batch norm needs its steps
    assert max(epoch["validation_accuracy"] for epoch in history) == 1.0
