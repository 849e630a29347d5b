"""Several processes that train one network, against one that trains it alone. The processes are real, over gloo."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.objective import autoencoder_loss
from coronet_core.classifier.architectures import ARCHITECTURES, build_cin
from coronet_core.classifier.cin_learner import cross_entropy
from coronet_core.classifier.fine_tuning import trained_layers
from coronet_core.common.literals import CinArchitecture
from coronet_core.common.seeds import generator
from coronet_core.learning.data_parallel import GlobalBatchNorm2d, data_parallel, use_global_batch_norm
from coronet_core.learning.ranks import ALONE, Ranks
from tests.conftest import PROJECT
from tests.core.rank_program import N_TRAINING, Recipe, learner_of, train

Outcome = dict[str, Any]


def run(out: Path, n_ranks: int, recipes: list[Recipe], checkpoint: Path | None = None) -> list[list[Outcome]]:
    """Train with `n_ranks` processes; returns, by recipe, what each of them has in the end."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(n_ranks)] if n_ranks > 1 else []
    told = json.dumps([asdict(recipe) for recipe in recipes])
    given = [told, str(out), *([] if checkpoint is None else [str(checkpoint)])]
    finished = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", *launcher, "-m", "tests.core.rank_program", *given],
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [
        [torch.load(out.with_name(f"{out.name}.{number}.{rank}")) for rank in range(n_ranks)]
        for number in range(len(recipes))
    ]


def largest_difference(one: Outcome, other: Outcome) -> float:
    pairs = zip(one["weights"].values(), other["weights"].values(), strict=True)
    return max(float((mine.double() - yours.double()).abs().max()) for mine, yours in pairs)


Compared = dict[Recipe, tuple[Outcome, list[Outcome]]]
"""By recipe, what one process has in the end and what each of two ranks has."""


def compared(folder: Path, recipes: list[Recipe]) -> Compared:
    alone, ranks = (run(folder / str(n_ranks), n_ranks, recipes) for n_ranks in (1, 2))
    return {recipe: (one[0], two) for recipe, one, two in zip(recipes, alone, ranks, strict=True)}


DOUBLES = {
    Recipe(network="autoencoder", is_double=True, batch_size=3, epochs=3): 1e-9,  # 8 images: batches of 3, 3 and 2
    Recipe(network="autoencoder", is_double=True, batch_size=1, epochs=3): 1e-8,  # one of the ranks has none
    Recipe(network="cin", is_double=True, batch_size=3, epochs=3): 1e-9,
    # at 64 px the last batch norms would have 4 values of one image, and magnify the order of sums
    Recipe(network="cin", is_double=True, batch_size=1, epochs=3, side_px=128): 1e-9,
}
"""Tolerances by recipe."""


@pytest.fixture(scope="module")
def doubles(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return compared(tmp_path_factory.mktemp("doubles"), list(DOUBLES))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", DOUBLES, ids=lambda recipe: f"{recipe.network}-{recipe.batch_size}")
def test_two_ranks_train_the_weights_of_one_process_in_float64(doubles: Compared, recipe: Recipe) -> None:
    tolerance = DOUBLES[recipe]
    alone, (leader, follower) = doubles[recipe]
    assert list(leader["weights"]) == list(alone["weights"])
    assert largest_difference(leader, alone) < tolerance
    assert largest_difference(leader, follower) == 0
    assert leader["history"] == follower["history"]
    for mine, yours in zip(leader["history"], alone["history"], strict=True):
        assert mine == pytest.approx(yours, rel=100 * tolerance, abs=100 * tolerance)


SINGLES = [Recipe(network=network, is_double=False, batch_size=4, epochs=3) for network in ("autoencoder", "cin")]


@pytest.fixture(scope="module")
def singles(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return compared(tmp_path_factory.mktemp("singles"), SINGLES)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SINGLES, ids=lambda recipe: recipe.network)
def test_in_float32_two_ranks_differ_from_one_process_by_rounding_alone(singles: Compared, recipe: Recipe) -> None:
    alone, (leader, _) = singles[recipe]
    parameters = dict((FPAE() if recipe.network == "autoencoder" else build_cin()).named_parameters())
    for name in parameters:
        torch.testing.assert_close(leader["weights"][name], alone["weights"][name], atol=0.02, rtol=0)
    first, first_alone = leader["history"][0], alone["history"][0]
    assert first["training_loss"] == pytest.approx(first_alone["training_loss"], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_training_goes_on_with_another_number_of_ranks(
    tmp_path: Path, doubles: Compared, before: int, after: int
) -> None:
    recipe = next(iter(DOUBLES))
    undisturbed, _ = doubles[recipe]
    run(tmp_path / "begun", before, [replace(recipe, epochs=1, stop_after=1)])
    ((resumed, *_),) = run(tmp_path / "resumed", after, [recipe], tmp_path / "begun.checkpoint")
    assert largest_difference(resumed, undisturbed) < 1e-9
    assert len(resumed["history"]) == 3


def test_the_shares_of_a_batch_are_the_batch() -> None:
    rows = torch.arange(5)
    shares = [Ranks(rank, 3).shard(rows) for rank in range(3)]
    assert torch.equal(torch.cat(shares), rows)
    assert [len(share) for share in shares] == [2, 2, 1]


def test_a_batch_smaller_than_the_ranks_leaves_some_without_images() -> None:
    assert [len(Ranks(rank, 3).shard(torch.arange(1))) for rank in range(3)] == [1, 0, 0]


def test_the_objectives_of_a_batchs_parts_add_up_to_its_objective() -> None:
    autoencoder, image = FPAE().eval(), torch.rand(3, 1, 64, 64)
    whole = autoencoder_loss(autoencoder, image, 2.0)
    parts = [autoencoder_loss(autoencoder, part, 2.0, batch_size=3) for part in (image[:2], image[2:], image[3:])]
    for term, of_parts in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(torch.stack(of_parts).sum(), term)


def test_the_cross_entropies_of_a_batchs_parts_add_up_to_its_cross_entropy() -> None:
    logits, targets, class_weights = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0]), torch.tensor([1.0, 2.0, 250.0])
    parts = [cross_entropy(logits[p], targets[p], class_weights, targets) for p in (slice(2), slice(2, 5), slice(5, 5))]
    torch.testing.assert_close(sum(parts), functional.cross_entropy(logits, targets, class_weights))


def test_one_process_is_given_the_step_itself() -> None:
    model = FPAE()
    step = data_parallel(autoencoder_loss, model, ALONE)
    assert step.func is autoencoder_loss  # type: ignore[attr-defined]
    assert not any(isinstance(module, GlobalBatchNorm2d) for module in model.modules())


def test_one_process_trains_as_a_plain_loop_does_bit_for_bit(tmp_path: Path) -> None:
    recipe = Recipe(network="autoencoder", is_double=False, batch_size=3, epochs=1)
    trained = train(recipe).weights
    learner = learner_of(recipe, ALONE, tmp_path)
    model, optimizer = learner.model.train(), learner.optimizer
    images = images_of(tmp_path)
    for positions in torch.randperm(N_TRAINING, generator=generator(1, "epoch", 1)).split(3):
        optimizer.zero_grad()
        image = (images[positions].unsqueeze(1).float() / 255).contiguous(memory_format=torch.channels_last)
        reconstruction, latent = model(image)
        again = model.encode(reconstruction)  # type: ignore[operator]
        (functional.mse_loss(reconstruction, image) + 1.0 * functional.mse_loss(latent, again)).backward()
        optimizer.step()
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())


def images_of(folder: Path) -> Tensor:
    return torch.from_numpy(np.load(folder / "images" / "shard-00000.npy"))


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[None]:
    """Torch's process group with this process alone in it."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group_of_one")
@pytest.mark.parametrize("momentum", [0.1, None])
def test_global_batch_norm_is_batch_norm(momentum: float | None) -> None:
    theirs = nn.BatchNorm2d(4, momentum=momentum)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = GlobalBatchNorm2d(nn.BatchNorm2d(4, momentum=momentum))
    ours.load_state_dict(theirs.state_dict())
    for _ in range(2):
        x = (3 * torch.randn(5, 4, 6, 7) + 20).requires_grad_()
        again = x.detach().clone().requires_grad_()
        y, expected = ours(x), theirs(again)
        torch.testing.assert_close(y, expected, atol=1e-5, rtol=1e-5)
        gradient = torch.randn_like(y)
        y.backward(gradient)
        expected.backward(gradient)
        torch.testing.assert_close(x.grad, again.grad, atol=1e-5, rtol=1e-4)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, yours.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.usefixtures("group_of_one")
def test_global_batch_norm_gives_the_number_format_that_it_is_given() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    y = GlobalBatchNorm2d(nn.BatchNorm2d(3))(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16


def test_a_batch_norm_is_exchanged_with_its_parameters_and_buffers() -> None:
    model = FPAE()
    before = {name: id(value) for name, value in [*model.named_parameters(), *model.named_buffers()]}
    keys = list(model.state_dict())
    use_global_batch_norm(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(isinstance(norm, GlobalBatchNorm2d) for norm in norms)
    assert list(model.state_dict()) == keys
    assert {name: id(value) for name, value in [*model.named_parameters(), *model.named_buffers()]} == before


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121"])
def test_batch_norms_of_frozen_layers_stay_those_that_are_kept_in_evaluation_mode(
    architecture: CinArchitecture,
) -> None:
    network = build_cin("residual_tensor", architecture)
    layers = trained_layers(network, ARCHITECTURES[architecture], "last_block", 1.0)
    frozen = [norm for part in layers.frozen for norm in part.modules() if isinstance(norm, nn.BatchNorm2d)]
    use_global_batch_norm(network)
    norms = [norm for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)]
    assert frozen
    assert {id(norm) for norm in norms if not isinstance(norm, GlobalBatchNorm2d)} == {id(norm) for norm in frozen}
    assert len(norms) > len(frozen)
