"""Answers for files, one and many; maps; reading files."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import explain, ingest
from benchmarks.speed import explainer, plain, plain_model
from benchmarks.speed.setting import Setting
from benchmarks.speed.work import Work
from coronet_core.autoencoder.residual_tensor import freeze
from coronet_core.common.classes import CLASSES
from coronet_core.common.shards import Shards
from tasks.inference.input.image_file import FileContent
from tasks.inference.predictor import predict_files

EXPLAINED = 2
ITERATION = explainer.fong(iterations=1)


def plain_answers(setting: Setting, n: int | None) -> Work:
    """Load the networks, then file by file; `n` of them, or all."""
    device = setting.torch_device
    made: list[torch.Tensor] = []

    @torch.no_grad()
    def answer() -> None:
        networks, network = plain_model.autoencoders(setting.model, device), plain_model.cin(setting.model, device)
        made.clear()
        for file in setting.files[:n]:
            image = plain_model.read_image(file, setting.side_px)[None].to(device)
            made.append(network(plain.residual_tensor(networks, image)).cpu())

    return Work(answer, lambda: plain.as_numbers(torch.cat(made)))


def our_answers(setting: Setting, n: int | None) -> Work:
    """As `coronet predict` answers a shard of `n` files, or of all."""
    model, device = setting.model, setting.torch_device
    made: list[NDArray[np.float64]] = []

    def answer() -> None:
        files = [FileContent(str(file), file.read_bytes()) for file in setting.files[:n]]
        table = predict_files(files, model, device).to_pandas()
        made[:] = [table[[f"logit_{label}" for label in CLASSES]].to_numpy(np.float64)]

    return Work(answer, lambda: made[0])


def plain_maps(setting: Setting) -> Work:
    """One iteration, image by image, through networks whose weights want gradients."""
    coronet = explainer.network(setting.torch_device)
    images = explain.chests(EXPLAINED, setting.side_px).to(setting.torch_device)
    made: list[torch.Tensor] = []

    def make() -> None:
        made[:] = [torch.cat([explainer.plain_map(coronet, image[None], 0, ITERATION) for image in images])]

    return Work(make, lambda: plain.as_numbers(made[0]))


def our_maps(setting: Setting) -> Work:
    """One iteration, all images at once."""
    coronet = explainer.network(setting.torch_device)
    freeze(coronet, setting.torch_device)
    images = explain.chests(EXPLAINED, setting.side_px).to(setting.torch_device)
    target = torch.zeros(EXPLAINED, dtype=torch.int64, device=setting.torch_device)
    made: list[torch.Tensor] = []

    def make() -> None:
        made[:] = [explainer.our_maps(coronet, images, target, ITERATION, EXPLAINED)]

    return Work(make, lambda: plain.as_numbers(made[0]))


def plain_ingest(setting: Setting) -> Work:
    """Open, grey, resize, keep."""
    made: list[NDArray[np.uint8]] = []

    def read() -> None:
        made[:] = [ingest.plain_loop(setting.files, setting.side_px)]

    return Work(read, lambda: made[0].astype(np.float64))


def our_ingest(setting: Setting) -> Work:
    """As `build_split` reads: also refusing, hashing, sharding."""
    work = Path(setting.folder) / "ingest"
    made: list[NDArray[np.uint8]] = []

    def read() -> None:
        ingest.read_as_the_stage(setting.files, setting.side_px, work)
        stack = Shards.in_folder(work / "decoded")
        made[:] = [stack.take(np.arange(len(stack)))]
        shutil.rmtree(work)

    return Work(read, lambda: made[0].astype(np.float64))


WAYS = {
    "explanation, an iteration": (plain_maps, our_maps),
    "prediction, 1 file": (partial(plain_answers, n=1), partial(our_answers, n=1)),
    "prediction, many files": (partial(plain_answers, n=None), partial(our_answers, n=None)),
    "ingest": (plain_ingest, our_ingest),
}
