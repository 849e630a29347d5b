"""The attribution methods by name: the paper's, occlusion, Captum's, and baselines."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import torch
from torch import Tensor

from coronet_core.attribution.baselines import centre_map, random_maps
from coronet_core.attribution.occlusion import Occlusion, n_windows, occlusion_maps
from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.classifier.coronet import CoroNet
from tasks.explain.grad_cam import grad_cam_maps
from tasks.explain.integrated_gradients import integrated_gradients_maps
from tasks.explain.resumable_batches import Batch
from tasks.runtime.params.explain import ExplainParams

CONTROLS: Final = ("random", "centre")
"""Baseline maps that do not depend on the network; always evaluated too."""
NULL_IMAGE_METHODS: Final = ("perturbation", "occlusion", "integrated_gradients")
"""Methods that put an image without evidence in place of X."""


def maps_of(method: str, coronet: CoroNet, batch: Batch, params: ExplainParams, seed: int) -> Tensor:
    """Return the maps (b, 1, H, W) float32, at least 0, of a batch of images for the classes to explain.

    `coronet` is a CoroNet, trained or with random weights.
    """
    image, target = batch.image, batch.target
    height, width = image.shape[-2:]
    null = None
    if params.null_image == "healthy_reconstruction" and method in NULL_IMAGE_METHODS:
        null = healthy_reconstruction(coronet, image)
    match method:
        case "perturbation":
            settings = Perturbation(**asdict(params.perturbation), seed=seed)
            return perturbation_maps(_probabilities(coronet), image, target, settings, batch.on_pass, null)
        case "occlusion":
            window = Occlusion(**asdict(params.occlusion))
            return occlusion_maps(_probabilities(coronet), image, target, window, batch.on_pass, null)
        case "integrated_gradients":
            return integrated_gradients_maps(coronet, image, target, params.integrated_gradients, null)
        case "grad_cam":
            return grad_cam_maps(coronet, image, target)
        case "random":
            return random_maps(batch.names, height, width, seed).to(image.device)
        case "centre":
            return centre_map(height, width).expand(len(image), -1, -1, -1).to(image.device)
    raise ValueError(f"{method}: unknown method")


@torch.no_grad()
def healthy_reconstruction(coronet: CoroNet, image: Tensor) -> Tensor:
    """Return F_H of `image`, (B, 1, H, W): what healthy lungs would look like there, as far as AE_H knows."""
    reconstruction: Tensor = coronet.tfen.healthy(image).reconstruction
    return reconstruction


def passes(method: str, params: ExplainParams, height: int, width: int) -> int:
    """Return the number of passes through the network per map."""
    return {
        "perturbation": params.perturbation.iterations,
        "occlusion": n_windows(height, width, Occlusion(**asdict(params.occlusion))),
        "integrated_gradients": params.integrated_gradients.steps,
        "grad_cam": 1,
    }.get(method, 0)


def _probabilities(coronet: CoroNet) -> Callable[[Tensor], Tensor]:
    def probabilities(image: Tensor) -> Tensor:
        predicted: Tensor = coronet(image).probabilities
        return predicted

    return probabilities
