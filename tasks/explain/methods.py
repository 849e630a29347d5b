"""Every method by its name: the same call for all, and what it costs."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from torch import Tensor

from coronet_core.attribution.baselines import centre_map, random_maps
from coronet_core.attribution.occlusion import Occlusion, n_windows, occlusion_maps
from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.classifier.coronet import CoroNet
from tasks.explain.captum_maps import grad_cam_maps, integrated_gradients_maps
from tasks.explain.work import Batch
from tasks.runtime.params.explain import ExplainParams

CONTROLS: Final = ("random", "centre")
"""Maps that know nothing of the network; measured beside the others, always."""


def maps_of(method: str, coronet: CoroNet, batch: Batch, params: ExplainParams, seed: int) -> Tensor:
    """Return the maps (b, 1, H, W) float32, at least 0, of a batch of images for the classes that are to be explained.

    `coronet` is a CoroNet, trained or with random weights.
    """
    image, target = batch.image, batch.target
    height, width = image.shape[-2:]

    match method:
        case "perturbation":
            settings = Perturbation(**asdict(params.perturbation), seed=seed)
            return perturbation_maps(_probabilities(coronet), image, target, settings, batch.on_pass)
        case "occlusion":
            window = Occlusion(**asdict(params.occlusion))
            return occlusion_maps(_probabilities(coronet), image, target, window, batch.on_pass)
        case "integrated_gradients":
            return integrated_gradients_maps(coronet, image, target, params.integrated_gradients)
        case "grad_cam":
            return grad_cam_maps(coronet, image, target)
        case "random":
            return random_maps(batch.names, height, width, seed).to(image.device)
        case "centre":
            return centre_map(height, width).expand(len(image), -1, -1, -1).to(image.device)
    raise ValueError(f"{method}: no such method")


def passes(method: str, params: ExplainParams, height: int, width: int) -> int:
    """Return how many passes through the network a map takes."""
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
