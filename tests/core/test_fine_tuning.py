"""What is frozen stays, what is trained moves, and the head and the batch norms begin with what suits the images."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from coronet_core.classifier.architectures import ARCHITECTURES, build_cin
from coronet_core.classifier.cin_learner import cin_learner, cross_entropy
from coronet_core.classifier.fine_tuning import (
    estimate_batch_norm,
    shuffled_batches,
    trained_layers,
    warm_up,
    warm_up_and_cosine,
)
from coronet_core.classifier.inputs import CinInputs
from coronet_core.classifier.logistic_regression import best_head, features_of, fitted_head, start_head
from coronet_core.common.batches import Subset
from coronet_core.common.literals import FineTune, KeptWeights
from coronet_core.common.shards import Shards, write_shard
from coronet_core.learning.loop import EpochEnd, Learner, Schedule, fit

CPU = torch.device("cpu")
LABELS = torch.arange(24) % 3


@pytest.fixture
def inputs(tmp_path: Path) -> CinInputs:
    """Residual tensors whose class is the channel with the most energy, small as residuals are."""
    residuals = np.random.default_rng(0).random((24, 3, 32, 32)).astype(np.float16) * 0.05
    residuals[np.arange(24), LABELS.numpy()] += np.float16(0.1)
    write_shard(tmp_path / "residuals", 0, residuals)
    write_shard(tmp_path / "images", 0, np.zeros((24, 32, 32), dtype=np.uint8))
    return CinInputs(
        "residual_tensor",
        *(Subset(Shards.in_folder(tmp_path / name), range(24), CPU) for name in ("images", "residuals")),
    )


def learner_of(network: nn.Module, inputs: CinInputs, fine_tune: FineTune, **options: object) -> Learner:
    layers = trained_layers(network, ARCHITECTURES["resnet18"], fine_tune, 0.5)
    settings = {
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "class_weights": torch.ones(3),
        "horizontal_flip": [0, 1, 2],
        "vertical_flip": [],
        "batch_size": 8,
        "precision": "fp32",
        "layers": layers,
        "optimizer": "adamw",
        "as_they_are": inputs,
    }
    return cin_learner(network, inputs, LABELS, inputs, LABELS, **(settings | options))  # type: ignore[arg-type]


def schedule(epochs: int, *, keep: KeptWeights = "best", validates_start: bool = False) -> Schedule:
    return Schedule(
        epochs=epochs,
        batch_size=8,
        epoch_fraction=1.0,
        best_by="validation_loss",
        patience_epochs=None,
        seed=0,
        keep=keep,
        validates_start=validates_start,
    )


@pytest.mark.parametrize(
    ("fine_tune", "moving"), [("head", {"fc"}), ("last_block", {"fc", "layer4"}), ("all", {"fc", "layer4", "layer1"})]
)
def test_frozen_layers_keep_weights_and_statistics(inputs: CinInputs, fine_tune: FineTune, moving: set[str]) -> None:
    network = build_cin()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fit(learner_of(network, inputs, fine_tune), schedule(1, keep="last"))
    moved = {key.split(".")[0] for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert moving <= moved
    assert fine_tune == "all" or moved == moving


def test_levels_before_learn_more_slowly(inputs: CinInputs) -> None:
    groups = learner_of(build_cin(), inputs, "last_block").optimizer.param_groups
    assert [group["lr"] for group in groups] == [0.01, 0.005]


def test_batch_norms_take_the_statistics_of_the_inputs(inputs: CinInputs) -> None:
    network = build_cin()
    estimate_batch_norm(network, inputs, 8, seed=0)
    seen = network.get_submodule("conv1")(inputs.take(torch.arange(24)))
    mean = network.get_submodule("bn1").running_mean
    torch.testing.assert_close(mean, seen.mean((0, 2, 3)))


def test_variances_are_those_of_all_images_though_files_come_by_class(tmp_path: Path) -> None:
    """A batch of one class would give the variance within it: here none."""
    images = np.repeat(np.uint8([0, 120, 240]), 8)[:, None, None] * np.ones((32, 32), dtype=np.uint8)
    write_shard(tmp_path / "images", 0, images)
    write_shard(tmp_path / "residuals", 0, np.zeros((24, 3, 32, 32), dtype=np.float16))
    by_class = CinInputs(
        "image", *(Subset(Shards.in_folder(tmp_path / name), range(24), CPU) for name in ("images", "residuals"))
    )
    network = build_cin()
    estimate_batch_norm(network, by_class, 8, seed=0)
    middle = network.get_submodule("conv1")(by_class.take(torch.arange(24)))[:, :, 8, 8]
    norm = network.get_submodule("bn1")
    assert (norm.running_var / middle.var(0)).median() > 0.7


def test_images_that_fill_no_batch_are_left_out_of_the_statistics(inputs: CinInputs) -> None:
    assert [len(batch) for batch in shuffled_batches(inputs, 7, seed=0)] == [7, 7, 7]
    assert [len(batch) for batch in shuffled_batches(inputs, 100, seed=0)] == [24]


def test_features_are_what_the_last_layer_reads(inputs: CinInputs) -> None:
    network = build_cin()
    features = features_of(network, "fc", inputs, 8, "fp32")
    assert features.shape == (24, 512)
    with torch.inference_mode():
        expected = network.eval()(inputs.take(torch.arange(24)))
    head = network.get_submodule("fc")
    torch.testing.assert_close((features @ head.weight.double().T + head.bias).float(), expected)


def test_logistic_regression_is_at_its_optimum() -> None:
    """There the gradient of loss and penalty is 0, and the bias, which is not penalised, balances the classes."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(90, 5, dtype=torch.float64, generator=generator)
    labels = torch.arange(90) % 3
    shares = torch.ones(90, dtype=torch.float64)
    weight, bias = (
        t.requires_grad_()
        for t in fitted_head(features, labels, torch.ones(3, dtype=torch.float64), shares, penalty=2.0)
    )
    loss = functional.cross_entropy(features @ weight.T + bias, labels) + 2.0 / 180 * weight.square().sum()
    gradients = torch.autograd.grad(loss, [weight, bias])
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-4


def test_a_head_is_chosen_by_the_validation_images_and_undoes_the_standardisation() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    features = torch.randn(120, 20, dtype=torch.float64, generator=generator) * 100 + 7
    features[:, 0] += 800 * (labels == 0)
    weight, bias = best_head(features[:90], labels[:90], features[90:], labels[90:], torch.ones(3), torch.ones(90))
    right = ((features[90:] @ weight.T + bias).argmax(1) == labels[90:])[labels[90:] == 0]
    assert right.float().mean() > 0.8


def test_an_image_that_counts_by_halves_counts_as_one() -> None:
    features = torch.randn(30, 5, dtype=torch.float64)
    labels, ones = torch.arange(30) % 3, torch.ones(30, dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    once = fitted_head(features, labels, weights, ones, penalty=2.0)
    twice = fitted_head(features.repeat(2, 1), labels.repeat(2), weights, ones.repeat(2) / 2, penalty=2.0)
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-5)


def test_a_head_that_starts_on_mirror_images_too_gives_both_the_same_class(inputs: CinInputs) -> None:
    network = build_cin()
    start = partial(start_head, network, "fc", (inputs, LABELS), (inputs, LABELS), torch.ones(3))
    start([], 8, "fp32")
    plain = network.get_submodule("fc").weight.detach().clone()
    start([0, 1, 2], 8, "fp32")
    assert not torch.equal(network.get_submodule("fc").weight, plain)
    features = features_of(network, "fc", inputs, 8, "fp32", are_mirrored=True)
    with torch.inference_mode():
        expected = network.eval()(inputs.take(torch.arange(24)).flip(3))
    head = network.get_submodule("fc")
    torch.testing.assert_close((features @ head.weight.double().T + head.bias).float(), expected)
    assert (expected.argmax(1) == LABELS).all()


def test_the_start_is_validated_and_may_be_the_best(inputs: CinInputs) -> None:
    network = build_cin()
    estimate_batch_norm(network, inputs, 8, seed=0)
    start_head(network, "fc", (inputs, LABELS), (inputs, LABELS), torch.ones(3), [], 8, "fp32")
    head = network.get_submodule("fc").weight.detach().clone()
    learner = learner_of(network, inputs, "head", learning_rate=1.0)  # far too fast: it gets worse
    history = fit(learner, schedule(2, validates_start=True))
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert history[0]["validation_accuracy"] == 1.0
    assert torch.equal(network.get_submodule("fc").weight, head)


def test_no_epochs_leave_the_start(inputs: CinInputs) -> None:
    network = build_cin()
    before = network.get_submodule("fc").weight.detach().clone()
    history = fit(learner_of(network, inputs, "head"), schedule(0, validates_start=True))
    assert len(history) == 1
    assert torch.equal(network.get_submodule("fc").weight, before)


def test_without_epochs_the_start_is_the_best_by_a_figure_of_training_too(inputs: CinInputs) -> None:
    by_training = replace(schedule(0, validates_start=True), best_by="training_last_step_loss")
    (row,) = fit(learner_of(build_cin(), inputs, "head"), by_training)
    assert row["epoch"] == 0


def test_averaged_weights_are_the_mean_of_the_later_epochs_and_survive_a_stop(inputs: CinInputs) -> None:
    def trained(stop_after: int | None) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        """The weights in the end, and those of the head behind each epoch; with a stop, by two processes."""
        heads: list[torch.Tensor] = []
        kept: list[dict[str, object]] = []

        def fresh() -> Learner:
            torch.manual_seed(0)
            return learner_of(build_cin(), inputs, "last_block", learning_rate_schedule="cosine", epochs=4)

        class Stop(Exception):  # noqa: N818
            pass

        learner = fresh()

        def on_epoch(end: EpochEnd) -> None:
            heads.append(learner.model.get_submodule("fc").weight.detach().clone())
            if end.metrics["epoch"] == stop_after:
                kept.append(end.checkpoint())
                raise Stop

        try:
            fit(learner, schedule(4, keep="average"), on_epoch=on_epoch)
        except Stop:
            learner = fresh()
            fit(learner, schedule(4, keep="average"), resume=kept[0], on_epoch=on_epoch)
        return {key: value.clone() for key, value in learner.model.state_dict().items()}, heads

    (whole, heads), (resumed, _) = trained(None), trained(3)
    torch.testing.assert_close(whole["fc.weight"], (heads[2] + heads[3]) / 2)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_the_learning_rate_rises_and_falls() -> None:
    factor = warm_up_and_cosine(4, 12)
    values = [factor(step) for step in range(13)]
    assert values[:4] == [0.25, 0.5, 0.75, 1.0]
    assert values[8] == pytest.approx(0.5)
    assert values[12] == pytest.approx(0)
    assert [warm_up(2)(step) for step in range(3)] == [0.5, 1.0, 1.0]


def test_smoothed_losses_of_parts_add_up() -> None:
    logits, targets, weights = torch.randn(6, 3), torch.arange(6) % 3, torch.tensor([1.0, 2.0, 0.5])
    whole = functional.cross_entropy(logits, targets, weights, label_smoothing=0.1)
    parts = [cross_entropy(logits[part], targets[part], weights, targets, 0.1) for part in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(sum(parts), whole)
