"""Trains a network on tiny data: `torchrun -m tests.core.rank_program RECIPE OUT [CHECKPOINT]`, or with plain python.

RECIPE is JSON with the fields of `Recipe`. Rank r leaves its weights and history in the file OUT.r, and the leader the
checkpoint of the epoch that was asked for in OUT.checkpoint. CHECKPOINT is what it goes on from.
"""

import io
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.cin_learner import cin_learner
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset
from coronet_core.common.shards import Shards, write_shard
from coronet_core.learning.loop import EpochEnd, Learner, Schedule, fit
from coronet_core.learning.ranks import ALONE, Ranks

CPU = torch.device("cpu")
N_TRAINING = 8
N_IMAGES = 11
LABELS = torch.arange(N_IMAGES) % 3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to train and how."""

    network: str
    """`autoencoder` or `cin`."""
    is_double: bool
    """Compute in float64, where another order of sums does not show."""
    batch_size: int
    epochs: int
    side_px: int = 64
    stop_after: int | None = None
    """Hand back the checkpoint of this epoch."""


@dataclass(frozen=True)
class Outcome:
    """What training ended with."""

    history: list[dict[str, float]]
    weights: dict[str, Tensor]
    checkpoint: bytes | None


def train(recipe: Recipe, ranks: Ranks = ALONE, resume: bytes | None = None) -> Outcome:
    """Train by `recipe`; without ranks it is the path of one process."""
    torch.set_default_dtype(torch.float32)
    checkpoints: dict[int, bytes] = {}

    def on_epoch(end: EpochEnd) -> None:
        buffer = io.BytesIO()
        torch.save(end.checkpoint(), buffer)
        checkpoints[int(end.metrics["epoch"])] = buffer.getvalue()

    schedule = Schedule(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        epoch_fraction=1.0,
        best_by="validation_loss",
        patience_epochs=None,
        seed=1,
    )
    sent = ranks.broadcast_bytes(resume)
    checkpoint = None if sent is None else torch.load(io.BytesIO(sent), weights_only=True)
    with tempfile.TemporaryDirectory() as folder:
        learner = learner_of(recipe, ranks, Path(folder))
        if recipe.is_double:
            torch.set_default_dtype(torch.float64)
        history = fit(learner, schedule, resume=checkpoint, on_epoch=on_epoch)
    return Outcome(history, learner.model.state_dict(), checkpoints.get(recipe.stop_after or 0))


def learner_of(recipe: Recipe, ranks: Ranks, folder: Path) -> Learner:
    """Return the learner, on data that are the same everywhere."""
    rng, side = np.random.default_rng(0), (recipe.side_px, recipe.side_px)
    coarse = torch.from_numpy(rng.random((N_IMAGES, 1, 8, 8)))
    smooth = torch.nn.functional.interpolate(coarse, size=side, mode="bilinear").squeeze(1) * 255
    write_shard(folder / "images", 0, smooth.to(torch.uint8).numpy())
    write_shard(folder / "residuals", 0, (rng.random((N_IMAGES, 3, *side)) * 0.3).astype(np.float16))

    def subset(name: str, rows: range) -> Subset:
        return Subset(Shards.in_folder(folder / name), rows, CPU)

    training, validation = range(N_TRAINING), range(N_TRAINING, N_IMAGES)
    dtype = torch.float64 if recipe.is_double else torch.float32
    torch.manual_seed(5)  # initial weights: drawn as float32 in either case
    if recipe.network == "autoencoder":
        return autoencoder_learner(
            FPAE().to(dtype),
            subset("images", training),
            subset("images", validation),
            learning_rate=0.002,
            weight_decay=0.0,
            regulariser_weight=1.0,
            batch_size=recipe.batch_size,
            precision="fp32",
            training_size_px=None,
            ranks=ranks,
        )
    return cin_learner(
        build_cin().to(dtype),
        CinInputs("residual_tensor", subset("images", training), subset("residuals", training)),
        LABELS[:N_TRAINING],
        CinInputs("residual_tensor", subset("images", validation), subset("residuals", validation)),
        LABELS[N_TRAINING:],
        learning_rate=0.001,
        weight_decay=0.0,
        class_weights=torch.tensor([1.0, 2.0, 5.0], dtype=dtype),
        horizontal_flip=[0, 1],
        vertical_flip=[2],
        batch_size=recipe.batch_size,
        precision="fp32",
        ranks=ranks,
    )


def main() -> None:
    """Train recipe after recipe as the rank that the environment names; without one as a single process.

    Recipes share a process, whose start takes longer than they do, and so the number format.
    """
    recipes, out = [Recipe(**one) for one in json.loads(sys.argv[1])], Path(sys.argv[2])
    torch.set_num_threads(1)
    if recipes[0].is_double:
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]  # images become double too
    ranks = ALONE
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
        ranks = Ranks(dist.get_rank(), dist.get_world_size())
    resume = Path(sys.argv[3]).read_bytes() if ranks.leads and len(sys.argv) > 3 else None
    for number, recipe in enumerate(recipes):
        outcome = train(recipe, ranks, resume)
        told = {"weights": outcome.weights, "history": outcome.history}
        torch.save(told, out.with_name(f"{out.name}.{number}.{ranks.rank}"))
        if outcome.checkpoint is not None:
            out.with_name(f"{out.name}.checkpoint").write_bytes(outcome.checkpoint)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
