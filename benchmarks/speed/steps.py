"""A training step as `fit` does it."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.speed import plain
from benchmarks.speed.work import Work
from coronet_core.learning.loop import Learner


def step_of(learner: Learner) -> Callable[[], Tensor]:
    """Return a training step on all the learner's images in one batch; the step returns its loss, detached."""
    learner.model.train()
    positions = torch.arange(learner.n_images, device=learner.device)
    rng = torch.Generator()

    def step() -> Tensor:
        losses = learner.training_step(positions, rng)
        learner.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        learner.optimizer.step()
        return losses["loss"].detach()

    return step


def our_steps(learner: Learner) -> Work:
    """Steps on the learner's images, all in one batch; the result is the loss of the first."""
    step = step_of(learner)
    losses: list[Tensor] = []
    return Work(lambda: losses.append(step()), lambda: plain.as_numbers(losses[0][None]))
