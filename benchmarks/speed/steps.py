"""A training step as `fit` does it."""

import torch

from benchmarks.speed import plain
from benchmarks.speed.setting import Work
from coronet_core.training.loop import Learner


def our_steps(learner: Learner) -> Work:
    """Steps on the learner's images, all in one batch; the result is the loss of the first."""
    learner.model.train()
    positions = torch.arange(learner.n_images, device=learner.device)
    losses: list[torch.Tensor] = []

    def step() -> None:
        told = learner.training_step(positions, torch.Generator())
        learner.optimizer.zero_grad(set_to_none=True)
        told["loss"].backward()
        learner.optimizer.step()
        losses.append(told["loss"].detach())

    return Work(step, lambda: plain.as_numbers(losses[0][None]))
