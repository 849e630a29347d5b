"""The CIN: a training step from shards, and what it costs to recompute the residuals; its answers for a test split."""

import numpy as np
import torch

from benchmarks.speed import plain, plain_model
from benchmarks.speed.setting import Setting
from benchmarks.speed.steps import our_steps
from benchmarks.speed.work import Work
from coronet_core.classifier.cin_learner import cin_learner
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset, batches
from coronet_core.common.precision import choose_precision
from tasks.networks.trained_cin import cin_from

LEARNING_RATE = 1e-4


def plain_step_from_shards(setting: Setting) -> Work:
    """Eager float32, channels first, on stored residuals."""
    return _plain_step(setting, recompute=False)


def plain_step_recomputed(setting: Setting) -> Work:
    """The same behind both autoencoders, in every step, as the authors' code has it."""
    return _plain_step(setting, recompute=True)


def _plain_step(setting: Setting, *, recompute: bool) -> Work:
    device = setting.torch_device
    network, networks = plain_model.cin(setting.model, device), plain_model.autoencoders(setting.model, device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    rows = np.arange(setting.images)
    labels = setting.labels.to(device)
    losses: list[float] = []

    def step() -> None:
        if recompute:
            image = (torch.from_numpy(setting.stack.take(rows))[:, None].float() / 255).to(device)
            residual = plain.residual_tensor(networks, image)
        else:
            residual = torch.from_numpy(setting.residuals.take(rows)).to(device).float()
        losses.append(plain.cin_step(network, optimizer, residual, labels))

    return Work(step, lambda: np.array(losses[:1]))


def our_step(setting: Setting) -> Work:
    """As `fit` does it on residual shards, in the format of `auto`; no flips, so that the losses can be compared."""
    device = setting.torch_device
    cin = cin_from(setting.model.cin, "residual_tensor", device).requires_grad_()
    everything = range(setting.images)
    images, residuals = (Subset(stack, everything, device) for stack in (setting.stack, setting.residuals))
    inputs = CinInputs("residual_tensor", images, residuals)
    learner = cin_learner(
        cin,
        inputs,
        setting.labels,
        inputs,
        setting.labels,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        class_weights=torch.ones(3),
        horizontal_flip=[],
        vertical_flip=[],
        batch_size=setting.images,
        precision=choose_precision("auto", device),
    )
    return our_steps(learner)


def plain_evaluation(setting: Setting) -> Work:
    """Image by image, eager float32, channels first."""
    device = setting.torch_device
    network = plain_model.cin(setting.model, device)
    made: list[torch.Tensor] = []

    @torch.no_grad()
    def evaluate() -> None:
        made.clear()
        for row in range(setting.images):
            residual = torch.from_numpy(setting.residuals.take(np.array([row]))).to(device).float()
            made.append(network(residual).cpu())

    return Work(evaluate, lambda: plain.as_numbers(torch.cat(made)))


def our_evaluation(setting: Setting) -> Work:
    """As the stage does it: batches, float32."""
    device = setting.torch_device
    cin = cin_from(setting.model.cin, "residual_tensor", device)
    images, residuals = (Subset(stack, range(setting.images), device) for stack in (setting.stack, setting.residuals))
    inputs = CinInputs("residual_tensor", images, residuals)
    everything = torch.arange(setting.images, device=device)
    made: list[torch.Tensor] = []

    @torch.inference_mode()
    def evaluate() -> None:
        made[:] = [cin(inputs.take(positions)).double().cpu() for positions in batches(everything, 64)]

    return Work(evaluate, lambda: plain.as_numbers(torch.cat(made)))


WAYS = {
    "CIN step, both from shards": (plain_step_from_shards, our_step),
    "CIN step, from shards against recomputed": (plain_step_recomputed, our_step),
    "evaluation": (plain_evaluation, our_evaluation),
}
