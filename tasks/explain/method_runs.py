"""Computations with the networks: maps, curves, maps with other seeds and with random weights."""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from coronet_core.attribution.deletion_and_insertion import Curves, deletion_and_insertion
from coronet_core.attribution.randomisation import AUTOENCODERS, cascade, randomised, rank_correlation, repeatability
from coronet_core.classifier.coronet import CoroNet
from coronet_core.common.seeds import derive_seed
from tasks.explain.methods import CONTROLS, maps_of, passes
from tasks.explain.resumable_batches import Batch, ExplanationWork
from tasks.runtime.params.explain import ExplainParams
from tasks.runtime.resume import Arrays


class Maps(NamedTuple):
    """Maps of the chosen images, on the CPU."""

    salience: Tensor
    """(n, 1, H, W) float32, at least 0."""
    seconds: float
    """Mean time per image."""


def make_maps(
    work: ExplanationWork,
    method: str,
    coronet: CoroNet,
    params: ExplainParams,
    seed: int,
    name: str = "maps",
    rows: Tensor | None = None,
) -> Maps:
    """Return a method's maps of the images at `rows` (default: all); `name` prefixes the stored files."""

    def make(batch: Batch) -> Arrays:
        begin = time.perf_counter()
        found = maps_of(method, coronet, batch, params, seed).cpu()
        return {"maps": found.numpy(), "seconds": np.full(len(found), (time.perf_counter() - begin) / len(found))}

    rows = work.everything if rows is None else rows
    made = work.in_batches(f"{name}-{method}", rows, passes(method, params, *work.size), make)
    return Maps(torch.from_numpy(made["maps"]), float(made["seconds"].mean()))


def make_curves(
    work: ExplanationWork, method: str, salience: Tensor, coronet: CoroNet, params: ExplainParams
) -> Curves:
    """Return the deletion and insertion curves of a method's maps `salience` (n, 1, H, W) of all images."""

    def make(batch: Batch) -> Arrays:
        curves = deletion_and_insertion(
            lambda x: coronet(x).probabilities,
            batch.image,
            batch.target,
            salience[batch.rows].to(batch.image.device),
            steps=params.measures.deletion_steps,
            null_blur_radius_px=params.measures.null_blur_radius_px,
        )
        return {name: curve.cpu().numpy() for name, curve in curves._asdict().items()}

    made = work.in_batches(f"curves-{method}", work.everything, _curve_passes(params), make)
    return Curves(**{name: torch.from_numpy(curve) for name, curve in made.items()})


def repeat(work: ExplanationWork, coronet: CoroNet, first: Tensor, params: ExplainParams, seed: int) -> Tensor:
    """Return the similarity of the perturbation maps `first` to those with other seeds, (n,); empty without seeds."""
    n_seeds = params.measures.repeat_seeds
    if n_seeds == 0:
        return torch.empty(0)
    seeds = {number: derive_seed(seed, "repeat", number) for number in range(1, n_seeds + 1)}
    runs = [make_maps(work, "perturbation", coronet, params, s, f"repeat-{n}").salience for n, s in seeds.items()]
    return repeatability(torch.stack([first, *runs]))


def randomise(
    work: ExplanationWork, coronet: CoroNet, trained: Mapping[str, Tensor], params: ExplainParams, seed: int
) -> dict[str, dict[str, Tensor]]:
    """Return by method and level the similarity (k,) of maps with random weights to the `trained` network's."""
    alike: dict[str, dict[str, Tensor]] = {method: {} for method in params.methods}
    n_images = min(params.measures.randomisation_images, len(work.everything))
    if n_images == 0:
        return alike
    rows = torch.linspace(0, len(work.everything) - 1, n_images).round().long()  # from the first class to the last
    for level, network in _random_networks(coronet, seed):
        for method, levels in alike.items():
            maps = make_maps(work, method, network, params, seed, f"random-{level}", rows)
            levels[level] = rank_correlation(trained[method][rows], maps.salience)
    return alike


def total_passes(coronet: CoroNet, n_images: int, n_shown: int, params: ExplainParams, size: tuple[int, int]) -> int:
    """Return the number of passes of images through the network, the length of the progress bar.

    `n_images` have maps by all methods and are measured, `n_shown` of the report's gallery have one map each.
    """
    of_methods = sum(passes(method, params, *size) for method in params.methods)
    of_repeats = params.measures.repeat_seeds * passes("perturbation", params, *size)
    of_curves = (len(params.methods) + len(CONTROLS)) * _curve_passes(params)
    n_random = min(params.measures.randomisation_images, n_images) * (len(coronet.cin_levels()) + len(AUTOENCODERS))
    of_gallery = n_shown * passes(params.gallery_method, params, *size)
    return n_images * (of_methods + of_repeats + of_curves) + n_random * of_methods + of_gallery


def _curve_passes(params: ExplainParams) -> int:
    return 2 * (params.measures.deletion_steps + 1)


def _random_networks(coronet: CoroNet, seed: int) -> Iterator[tuple[str, CoroNet]]:
    yield from cascade(coronet, coronet.cin_levels(), seed)
    for autoencoder in AUTOENCODERS:
        yield autoencoder, randomised(coronet, [autoencoder], seed)
