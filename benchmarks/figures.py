"""Whether speed changes what comes out: `python -m benchmarks.figures [--seeds 5]`, where `build_split` has run.

Trains both autoencoders and the CIN by `params.yaml` on the project's split, with several seeds, the plain way (eager
float32, channels first) and ours (bfloat16 as the params say, channels last, fused); from the same initial weights, on
the same batches, flipped by the same coins. Then CINs on our residual tensors kept in other number formats. Figures of
the test images, their differences from ours pair by pair, and t intervals of the mean difference over seeds.
`benchmarks/figures.json` has all of it. On the CPU, whatever `device` says.
"""

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from benchmarks.scale import three_channels
from benchmarks.speed import plain, plain_training
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.autoencoder.residual_tensor import freeze
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.cin_learner import cin_learner, inverse_frequency_weights
from coronet_core.classifier.inputs import CinInputs
from coronet_core.common.batches import Subset, as_image, batches
from coronet_core.common.classes import CLASSES, SplitName
from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.manifest import read_manifest
from coronet_core.common.precision import autocast, choose_precision
from coronet_core.common.seeds import derive_seed
from coronet_core.common.shards import Shards, write_shard
from coronet_core.learning.loop import Schedule, fit
from coronet_core.metrics.scores import figures_of
from tasks.networks.residual_index import class_indices
from tasks.runtime.compute.cpu import keep_freed_memory
from tasks.runtime.files import write_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import AutoencoderParams, CinParams, Params
from tasks.runtime.paths import IMAGES, MANIFEST
from tasks.train_autoencoder.stage import images_of

RESULTS: Final = Path(__file__).with_name("figures.json")
CPU: Final = torch.device("cpu")
FEWEST: Final = 2
SHOWN: Final = ("accuracy", "balanced_accuracy", "roc_auc.macro")
Signed = NDArray[np.float32]
OURS: Final = "ours, stored as float16"
PLAIN: Final = "plain"
STORED: Final[dict[str, Callable[[Signed], NDArray[Any]]]] = {
    OURS: lambda signed: three_channels(signed).astype(np.float16),
    "ours, stored as float32": three_channels,
    "ours, stored as 2 signed float16": lambda signed: three_channels(signed.astype(np.float16).astype(np.float32)),
    "ours, stored as uint8 of 0 to 0.5": lambda signed: (three_channels(signed).clip(0, 0.5) * 510).round() / 510,
}
"""What comes back of residuals X - F_H and X - F_P, (n, 2, H, W), that were kept in a number format: (n, 3, H, W)."""

SETTLED: Final[dict[str, dict[str, Any]]] = {
    "autoencoder": {
        "training_size_px": None,
        "epoch_fraction": 1.0,
        "best_by": "validation_loss",
        "patience_epochs": None,
    },
    "cin": {
        "input": "residual_tensor",
        "pretrained": "none",
        "class_weights": "inverse_frequency",
        "horizontal_flip": list(CLASSES),
        "vertical_flip": list(CLASSES),
        "best_by": "validation_loss",
        "patience_epochs": None,
    },
}
"""What the plain way cannot do otherwise."""

Told = dict[str, dict[str, float]]
"""Figures by way."""


def plain_way(params: Params, seed: int) -> Told:
    """Train all three networks the plain way."""
    networks = []
    for label in ("healthy", "pneumonia"):
        own = derive_seed(seed, "autoencoder", label)
        torch.manual_seed(own)
        network = plain.autoencoder(FPAE(params.autoencoder.latent).state_dict(), params.autoencoder.latent)
        split = (images_of("train", label, CPU), images_of("validation", label, CPU))
        learner = plain_training.autoencoder_learner(network, *split, params.autoencoder)
        fit(learner, _schedule(params.autoencoder, own))
        networks.append(network.eval())
    stack = torch.from_numpy(_all_images())
    parts = batches(stack, params.residuals.batch_size)
    made = [plain.residual_tensor(networks, part[:, None].float() / 255) for part in parts]
    return {PLAIN: _figures_of_cin(params, seed, torch.cat(made).numpy(), _plain_cin)}


def our_way(params: Params, seed: int) -> Told:
    """Train the autoencoders as the stages do, then a CIN for each number format."""
    networks: list[Any] = []
    for label in ("healthy", "pneumonia"):
        own = derive_seed(seed, "autoencoder", label)
        torch.manual_seed(own)
        learner = autoencoder_learner(
            FPAE(params.autoencoder.latent),
            images_of("train", label, CPU),
            images_of("validation", label, CPU),
            learning_rate=params.autoencoder.learning_rate,
            weight_decay=params.autoencoder.weight_decay,
            regulariser_weight=params.autoencoder.regulariser_weight,
            batch_size=params.autoencoder.batch_size,
            precision=choose_precision(params.autoencoder.precision, CPU),
            training_size_px=None,
        )
        fit(learner, _schedule(params.autoencoder, own))
        networks.append(learner.model)
    signed = _signed_residuals(networks, params)
    return {name: _figures_of_cin(params, seed, stored(signed), _our_cin) for name, stored in STORED.items()}


@torch.inference_mode()
def _signed_residuals(networks: list[FPAE], params: Params) -> Signed:
    for network in networks:
        freeze(network, CPU)
    made = []
    for part in batches(torch.from_numpy(_all_images()), params.residuals.batch_size):
        image = as_image(part)
        with autocast(CPU, params.residuals.precision):
            made.append(torch.cat([image - network(image).reconstruction for network in networks], dim=1))
    return torch.cat(made).float().contiguous().numpy()


def _schedule(params: AutoencoderParams | CinParams, seed: int) -> Schedule:
    return Schedule(
        epochs=params.epochs,
        batch_size=params.batch_size,
        epoch_fraction=1.0,
        best_by="validation_loss",
        patience_epochs=None,
        seed=seed,
    )


def _all_images() -> NDArray[np.uint8]:
    stack = Shards.in_folder(IMAGES)
    return stack.take(np.arange(len(stack), dtype=np.int64))


Labelled = tuple[CinInputs, Tensor]


def _our_cin(training: Labelled, validation: Labelled, params: CinParams, seed: int) -> nn.Module:
    learner = cin_learner(
        build_cin(),
        *training,
        *validation,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        class_weights=inverse_frequency_weights(training[1]),
        horizontal_flip=range(len(CLASSES)),
        vertical_flip=range(len(CLASSES)),
        batch_size=params.batch_size,
        precision=choose_precision(params.precision, CPU),
    )
    fit(learner, _schedule(params, seed))
    return learner.model


def _plain_cin(training: Labelled, validation: Labelled, params: CinParams, seed: int) -> nn.Module:
    weights = inverse_frequency_weights(training[1])
    learner = plain_training.cin_learner(build_cin(), training, validation, weights, params)
    fit(learner, _schedule(params, seed))
    return learner.model


def _figures_of_cin(
    params: Params,
    seed: int,
    made: NDArray[Any],
    train: Callable[[Labelled, Labelled, CinParams, int], nn.Module],
) -> dict[str, float]:
    own = derive_seed(seed, "cin")
    torch.manual_seed(own)
    with tempfile.TemporaryDirectory() as folder:
        write_shard(Path(folder), 0, made.astype(np.float32))
        manifest, stacks = read_manifest(MANIFEST), [Shards.in_folder(place) for place in (IMAGES, Path(folder))]

        def part(split: SplitName) -> Labelled:
            rows = manifest[manifest["split"] == split]
            images, residuals = (Subset(stack, rows.index, CPU) for stack in stacks)
            return CinInputs("residual_tensor", images, residuals), torch.from_numpy(class_indices(rows))

        network = train(part("train"), part("validation"), params.cin, own).eval()
        inputs, truth = part("test")
        with torch.no_grad():
            logits = network(inputs.take(torch.arange(len(inputs)))).double()
    found = figures_of(truth.numpy(), logits.argmax(1).numpy(), logits.softmax(1).numpy())(np.ones((1, len(truth))))
    return {name: float(found[name][0]) for name in SHOWN}


WAYS: Final = {PLAIN: plain_way, OURS: our_way}


def trained(way: str, params: Params, seed: int) -> Told:
    """Train one way with one seed, in this process and one thread."""
    torch.set_num_threads(1)
    keep_freed_memory()
    return WAYS[way](params, seed)


def compared(told: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return a row for each way: mean and deviation over seeds, mean difference from ours with a 95% t interval."""
    rows = []
    for way, runs in told.items():
        row: dict[str, Any] = {"way": way, "runs": runs}
        for name in SHOWN:
            values, ours = (np.array([run[name] for run in each]) for each in (runs, told[OURS]))
            difference = values - ours
            half = stats.t.ppf(0.975, len(runs) - 1) * difference.std(ddof=1) / np.sqrt(len(runs))
            row[name] = {
                "mean": values.mean(),
                "deviation": values.std(ddof=1),
                "difference": difference.mean(),
                "interval": (difference.mean() - half, difference.mean() + half),
            }
        rows.append(row)
    return rows


def require_settled(params: Params) -> None:
    """End with what params must be set to, if they are not."""
    wrong = [
        f"{section}.{key}: {json.dumps(value)}"
        for section, values in SETTLED.items()
        for key, value in values.items()
        if getattr(getattr(params, section), key) != value
    ]
    if params.training_processes != 1:
        wrong.append("training_processes: 1")
    if wrong:
        raise SystemExit("the plain way cannot do as params.yaml says. Set " + ", ".join(wrong))


def main() -> None:
    """Train, compare, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description="Figures both ways, by seed.")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each way, 2 or more")
    parser.add_argument("--processes", type=int, default=usable_cores(), help="trainings at once, a thread each")
    options = parser.parse_args()
    if options.seeds < FEWEST:
        parser.error(f"--seeds must be {FEWEST} or more: an interval needs as many")
    params = read_params()
    require_settled(params)
    told: dict[str, dict[int, dict[str, float]]] = {}
    with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        work = {
            pool.submit(trained, way, params, params.seed + number): number
            for number in range(options.seeds)
            for way in WAYS
        }
        for done in as_completed(work):
            for way, figures in done.result().items():
                told.setdefault(way, {})[work[done]] = figures
                print(f"seed {work[done]}  {way:36} {figures}", flush=True)
    rows = compared({way: [runs[number] for number in sorted(runs)] for way, runs in told.items()})
    print(f"\n{'way':36} " + "".join(f"{name:>52}" for name in SHOWN))
    for row in rows:
        print(f"{row['way']:36} " + "".join(f"{_line(row[name]):>52}" for name in SHOWN))
    write_json(RESULTS, {"images": len(_all_images()), "seeds": options.seeds, "rows": rows})


def _line(told: dict[str, Any]) -> str:
    low, high = told["interval"]
    return f"{told['mean']:.4f} ± {told['deviation']:.4f}, {told['difference']:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
