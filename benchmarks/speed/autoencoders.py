"""The autoencoders: a training step, inference, and residual tensors from files to a shard."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speed import plain, plain_model
from benchmarks.speed.setting import Setting
from benchmarks.speed.steps import our_steps
from benchmarks.speed.work import Work
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.autoencoder.residual_tensor import residuals_of
from coronet_core.common.batches import Subset, as_image
from coronet_core.common.literals import Precision
from coronet_core.common.precision import choose_precision
from coronet_core.common.shards import write_shard
from coronet_core.data.reading.image import decode
from tasks.networks.trained_tfen import compute_shard, tfen_from

LEARNING_RATE = 1e-4


def plain_training_step(setting: Setting) -> Work:
    """Eager float32; Z~ by a second pass of the whole network."""
    device = setting.torch_device
    network = plain_model.autoencoders(setting.model, device)[0]
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    stored = setting.stack.take(np.arange(setting.batch))
    losses: list[float] = []

    def step() -> None:
        image = torch.from_numpy(stored).to(device)[:, None].float() / 255  # (B, 1, H, W)
        losses.append(plain.autoencoder_step(network, optimizer, image))

    return Work(step, lambda: np.array(losses[:1]))


def our_training_step(setting: Setting, mode: str | None = None) -> Work:
    """As `fit` does it, by `auto`; with a `mode` of torch.compile, compiled in it, which no stage does."""
    device = setting.torch_device
    network = FPAE()
    network.load_state_dict(plain_model.autoencoders(setting.model, device)[0].state_dict())
    if mode is not None:
        network.encoder.compile(mode=mode)
        network.decoder.compile(mode=mode)
    images = Subset(setting.stack, range(setting.batch), device)
    learner = autoencoder_learner(
        network,
        images,
        images,
        learning_rate=LEARNING_RATE,
        weight_decay=0.0,
        regulariser_weight=1.0,
        batch_size=setting.batch,
        precision=choose_precision("auto", device),
        training_size_px=None,
    )
    return our_steps(learner)


def plain_inference(setting: Setting) -> Work:
    """A batch, eager float32, channels first."""
    device = setting.torch_device
    networks = plain_model.autoencoders(setting.model, device)
    image = (torch.from_numpy(setting.stack.take(np.arange(setting.batch)))[:, None].float() / 255).to(device)
    made: list[torch.Tensor] = []
    return Work(lambda: _keep(made, plain.residual_tensor(networks, image)), lambda: plain.as_numbers(made[0]))


def our_inference(setting: Setting, precision: Precision, mode: str | None = None) -> Work:
    """A batch, channels last; with a `mode` of torch.compile, compiled in it, which no stage does."""
    device = setting.torch_device
    tfen = tfen_from(setting.model.autoencoders, device)
    if mode is not None:
        tfen.compile(mode=mode)
    image = as_image(torch.from_numpy(setting.stack.take(np.arange(setting.batch))).to(device))
    made: list[torch.Tensor] = []
    return Work(lambda: _keep(made, residuals_of(tfen, image, precision)), lambda: plain.as_numbers(made[0]))


def plain_materialisation(setting: Setting) -> Work:
    """File by file through both networks, then one array."""
    device = setting.torch_device
    networks = plain_model.autoencoders(setting.model, device)
    made: list[NDArray[np.float16]] = []

    def materialise() -> None:
        made.clear()
        for file in setting.files:
            image = plain_model.read_image(file, setting.side_px)[None].to(device)  # (1, 1, H, W)
            made.append(plain.residual_tensor(networks, image).cpu().numpy().astype(np.float16))
        np.save(Path(setting.folder) / "plain.npy", np.concatenate(made))

    return Work(materialise, lambda: plain.as_numbers(np.concatenate(made)))


def our_materialisation(setting: Setting, precision: Precision) -> Work:
    """Files decoded by threads, residuals in batches, a shard written whole."""
    device, model = setting.torch_device, setting.model
    params = replace(model.residuals, precision=precision)
    tfen = tfen_from(model.autoencoders, device)
    made: list[NDArray[np.float16]] = []

    def read(file: Path) -> NDArray[np.uint8]:
        return decode(file.read_bytes(), model.image_size_px, model.aspect, model.reading).pixels

    def materialise() -> None:
        made.clear()
        with ThreadPoolExecutor(setting.threads) as pool:
            images = np.stack(list(pool.map(read, setting.files)))
        made.append(compute_shard(tfen, images, params, device).residuals)
        write_shard(Path(setting.folder) / "ours", 0, made[0])

    return Work(materialise, lambda: plain.as_numbers(made[0]))


def _keep(made: list[torch.Tensor], value: torch.Tensor) -> None:
    made[:] = [value]


WAYS = {
    "AE training step": (plain_training_step, our_training_step),
    "AE training step, compiled": (plain_training_step, partial(our_training_step, mode="default")),
    "AE training step, CUDA graphs": (plain_training_step, partial(our_training_step, mode="reduce-overhead")),
    "AE inference, both, bf16": (plain_inference, partial(our_inference, precision="bf16")),
    "AE inference, both, bf16, compiled": (plain_inference, partial(our_inference, precision="bf16", mode="default")),
    "AE inference, both, fp32": (plain_inference, partial(our_inference, precision="fp32")),
    "residuals, files to shard, bf16": (plain_materialisation, partial(our_materialisation, precision="bf16")),
    "residuals, files to shard, fp32": (plain_materialisation, partial(our_materialisation, precision="fp32")),
}
