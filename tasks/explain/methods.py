"""The attribution methods by name: the paper's, occlusion, Captum's, and baselines."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.attribution.baselines import centre_map, random_maps
from coronet_core.attribution.blur import blur
from coronet_core.attribution.occlusion import Occlusion, n_windows, occlusion_maps
from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.classifier.coronet import CoroNet
from tasks.explain.resumable_batches import Batch
from tasks.runtime.params.explain import ExplainParams, IntegratedGradientsParams

CONTROLS: Final = ("random", "centre")
"""Baseline maps that do not depend on the network; always evaluated too."""
NULL_IMAGE_METHODS: Final = ("perturbation", "occlusion", "integrated_gradients")
"""Methods that put an image without evidence in place of X."""


def integrated_gradients_maps(
    coronet: CoroNet,
    image: Tensor,
    target: Tensor,
    settings: IntegratedGradientsParams,
    null: Tensor | None = None,
) -> Tensor:
    """Return the maps (B, 1, H, W) of integrated gradients (Sundararajan et al. 2017), float32, at least 0.

    From `null`, (B, 1, H, W), by default the blurred image, to X, of the probability of `target` (B,). Negative
    attributions are set to 0.
    """
    from captum.attr import IntegratedGradients

    attributions: Tensor = IntegratedGradients(lambda x: coronet(x).probabilities).attribute(
        image.clone().requires_grad_(),
        baselines=blur(image, settings.null_blur_radius_px) if null is None else null,
        target=target,
        n_steps=settings.steps,
        internal_batch_size=len(image),  # one step of all images at a time: memory does not grow with the steps
    )
    return attributions.detach().float().clamp_min(0)


def grad_cam_maps(coronet: CoroNet, image: Tensor, target: Tensor) -> Tensor:
    """Return the maps (B, 1, H, W) of Grad-CAM (Selvaraju et al. 2017) on the CIN's last block, float32, at least 0.

    Of the logit of `target` (B,), as in the original; of an ensemble, the mean of its members' maps. The block's cells,
    and so the maps, are 32 pixels coarse, 16 with a head on the middle blocks.
    """
    maps = [_grad_cam_cells(coronet, member, image, target) for member in coronet.design.member_names()]
    cells = torch.stack(maps).mean(0)  # (B, 1, h, w)
    return functional.interpolate(cells, size=image.shape[-2:], mode="bilinear", align_corners=False)


def _grad_cam_cells(coronet: CoroNet, member: str, image: Tensor, target: Tensor) -> Tensor:
    from captum.attr import LayerGradCam

    layer = f"{member}{coronet.design.parts.last_features}"
    cells: Tensor = LayerGradCam(_Logits(coronet, member), coronet.cin.get_submodule(layer)).attribute(
        image.clone().requires_grad_(), target=target, relu_attributions=True
    )
    return cells.detach().float()


class _Logits(nn.Module):
    """CoroNet up to the softmax, with one member of the CIN."""

    def __init__(self, coronet: CoroNet, member: str) -> None:
        """`member` is the prefix of the network's modules in the CIN, empty where it is the CIN itself."""
        super().__init__()
        self.coronet = coronet
        self.member = coronet.cin.get_submodule(member.removesuffix("network.").removesuffix("."))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.member(self.coronet.cin_input(image, self.coronet.tfen(image)))
        return logits


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
