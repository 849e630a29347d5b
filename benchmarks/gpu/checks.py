"""Whether everything is right on this device. Each check is a plain function, which tests call as well."""

import functools
import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu import learners
from benchmarks.gpu.bench import Bench, Figures
from benchmarks.gpu.images import drawn, image_batch
from benchmarks.gpu.released import released_autoencoders
from benchmarks.gpu.rows import NotMeasuredError
from benchmarks.speed.explainer import fong, network, our_maps
from coronet_core.autoencoder.residual_tensor import TFEN, freeze, residual_tensor
from coronet_core.common.literals import Precision, PrecisionChoice
from coronet_core.common.precision import autocast
from coronet_core.learning.loop import Learner, Schedule, fit
from tasks.runtime.error_handling import known_error

Format = Literal["fp32", "tf32", "bf16"]
Trained = Literal["autoencoder", "CIN"]
CPU: Final = torch.device("cpu")
GOLDEN: Final[dict[Format, float]] = {"fp32": 1e-5, "tf32": 1e-2, "bf16": 5e-2}
"""Largest difference of a reconstruction or a residual, which lie in [0, 1] and [0, 2]. bf16 on a CPU: 0.022."""
GOLDEN_LATENT: Final[dict[Format, float]] = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 1e-2}
"""Of the coarsest latent, which reaches 0.36. bf16 on a CPU: 0.0028."""
STEP_LOSS: Final[dict[Precision, float]] = {"fp32": 1e-5, "bf16": 2e-2}
"""Relative to the loss of the CPU in float32."""
STEP_GRADIENT: Final[dict[Precision, float]] = {"fp32": 2e-3, "bf16": 0.5}
"""Norm of the difference relative to the norm; that of another batch differs by more than 1."""
MAPS: Final = 1e-6
"""In float64, as in `benchmarks/explain.py`."""
RESUMED: Final = 0.05
"""How far weights of a resumed training are from those of one in a piece, as a share of how far training moved them.

On a CPU they are equal. On a GPU sums of gradients come in any order."""
SIDE_PX, BATCH = 64, 4
EXPLAINED, ITERATIONS = 2, 5


@dataclass(frozen=True)
class Check:
    """How far something is from what it should be."""

    difference: float
    tolerance: float

    @property
    def is_right(self) -> bool:
        """Whether it is near enough; NaN never is."""
        return self.difference <= self.tolerance

    def figures(self) -> Figures:
        """Return it as figures of a row."""
        return {"right": self.is_right, "difference": self.difference, "tolerance": self.tolerance}


def measure(bench: Bench) -> None:
    """Run all checks."""
    device = bench.device
    golden_of, step_of = functools.cache(golden), functools.cache(training_step)
    for kind, part in product(GOLDEN, ("reconstruction", "latent", "residual_tensor")):
        bench.row(f"golden {part}, {kind}", lambda k=kind, p=part: golden_of(bench.reference, device, k)[p].figures())
    for trained, kind, part in product(get_args(Trained), STEP_LOSS, ("loss", "gradient")):
        bench.row(
            f"{trained}, {part} of a step, {kind}",
            lambda n=trained, k=kind, p=part: step_of(n, device, k)[p].figures(),
        )
    bench.row("explainer's maps, float64", lambda: maps(device).figures())
    bench.row("resumed training", lambda: resumed(device).figures())
    bench.row("message when memory is out", lambda: {"right": True, "message": out_of_memory_message(device)})


def golden(folder: Path | None, device: torch.device, number_format: Format) -> dict[str, Check]:
    """Compare the released autoencoders with what they compute in float64 on six X-rays."""
    if folder is None:
        raise NotMeasuredError("no folder with golden_fpae.npz; name it by --reference or CORONET_REFERENCE")
    if number_format == "tf32" and device.type != "cuda":
        raise NotMeasuredError("only GPUs have tf32")
    with np.load(folder / "golden_fpae.npz") as arrays:
        expected = {name: torch.from_numpy(arrays[name]) for name in arrays}
    tfen = released_autoencoders(folder)
    freeze(tfen, device)
    image = expected.pop("input_uint8").to(device).float() / 255
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=number_format == "tf32"):
        computed = _passes(tfen, image, "bf16" if number_format == "bf16" else "fp32")
    apart = {name: (computed[name] - value).abs().max().item() for name, value in expected.items()}
    tolerance = GOLDEN[number_format]
    return {
        "reconstruction": Check(_largest(apart, "reconstruction"), tolerance),
        "latent": Check(_largest(apart, "latent"), GOLDEN_LATENT[number_format]),
        "residual_tensor": Check(apart["residual_tensor"], tolerance),
    }


def _largest(apart: dict[str, float], part: str) -> float:
    return max(value for name, value in apart.items() if name.startswith(part))


@torch.inference_mode()
def _passes(tfen: TFEN, image: Tensor, precision: Precision) -> dict[str, Tensor]:
    computed = {}
    with autocast(image.device, precision):
        for name, autoencoder in (("healthy", tfen.healthy), ("pneumonia", tfen.pneumonia)):
            made = autoencoder(image)
            computed[f"reconstruction_{name}"] = made.reconstruction
            computed[f"latent_coarse_{name}"] = made.latent
    both = (computed["reconstruction_healthy"], computed["reconstruction_pneumonia"])
    computed["residual_tensor"] = residual_tensor(image, *both)
    return {name: value.float().cpu() for name, value in computed.items()}


def training_step(trained: Trained, device: torch.device, precision: Precision) -> dict[str, Check]:
    """Compare loss and gradient of a step on `device` with the CPU's in float32; tf32 is off."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected_loss, expected = _loss_and_gradient(_learner(trained, CPU, "fp32"))
        loss, gradient = _loss_and_gradient(_learner(trained, device, precision))
    return {
        "loss": Check(abs(loss - expected_loss) / abs(expected_loss), STEP_LOSS[precision]),
        "gradient": Check(((gradient - expected).norm() / expected.norm()).item(), STEP_GRADIENT[precision]),
    }


def _learner(trained: Trained, device: torch.device, precision: PrecisionChoice) -> Learner:
    if trained == "autoencoder":
        return learners.autoencoder(drawn(BATCH, SIDE_PX), BATCH, device, precision)
    pixels = drawn(3 * 2 * BATCH, SIDE_PX).reshape(2 * BATCH, 3, SIDE_PX, SIDE_PX)
    residuals = (pixels / 1024).astype(np.float16)
    return learners.classifier(learners.inputs_of(residuals, device), 2 * BATCH, precision)


def _loss_and_gradient(learner: Learner) -> tuple[float, Tensor]:
    learner.model.train()
    positions = torch.arange(learner.n_images, device=learner.device)
    loss = learner.training_step(positions, torch.Generator().manual_seed(0))["loss"]
    loss.backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in learner.model.parameters()]).double().cpu()
    learner.optimizer.step()
    if not all(bool(parameter.isfinite().all()) for parameter in learner.model.parameters()):
        return math.nan, gradient
    return loss.item(), gradient


def maps(device: torch.device) -> Check:
    """Compare the explainer's maps on `device` with the CPU's, in float64."""
    made = []
    for place in (CPU, device):
        coronet = network(CPU).double()
        freeze(coronet, place)
        images = image_batch(EXPLAINED, SIDE_PX, place).double()
        target = torch.ones(EXPLAINED, dtype=torch.int64, device=place)
        made.append(our_maps(coronet, images, target, fong(ITERATIONS), EXPLAINED).cpu())
    return Check((made[0] - made[1]).abs().max().item(), MAPS)


def resumed(device: torch.device) -> Check:
    """Compare a training of three epochs with one that went on from a checkpoint, read as the stages read theirs."""
    images = drawn(4 * BATCH, SIDE_PX)

    def learner() -> Learner:
        return learners.autoencoder(images, BATCH, device)

    kept: list[bytes] = []
    first = learner()
    initial = _weights(first)
    fit(first, _epochs(1), on_epoch=lambda end: kept.append(learners.checkpoint_of(end)))
    again, whole = learner(), learner()
    fit(again, _epochs(3), resume=learners.read_checkpoint(kept[0]))
    fit(whole, _epochs(3))
    moved = (_weights(whole) - initial).norm()
    return Check(((_weights(again) - _weights(whole)).norm() / moved).item(), RESUMED)


def _epochs(epochs: int) -> Schedule:
    return Schedule(
        epochs=epochs,
        batch_size=BATCH,
        epoch_fraction=1.0,
        best_by="training_last_step_loss",
        patience_epochs=None,
        seed=0,
    )


def _weights(learner: Learner) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in learner.model.parameters()]).double().cpu()


def out_of_memory_message(device: torch.device) -> str:
    """Ask the GPU for more memory than it has; returns what a user reads. Training goes on in the same process."""
    if device.type != "cuda":
        raise NotMeasuredError("needs the memory of a GPU")
    try:
        torch.empty(2 * torch.cuda.get_device_properties(device).total_memory, dtype=torch.uint8, device=device)
    except RuntimeError as error:
        message = str(known_error(error))
    else:
        raise AssertionError("twice the GPU's memory was handed out")
    if not message.startswith("out of GPU memory") or "Lower the batch size" not in message:
        raise AssertionError(f"the message is {message}")
    float(learners.autoencoder_step(SIDE_PX, BATCH, device)())
    return message
