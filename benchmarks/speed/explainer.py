"""The explainer: image after image as scripts of 2020 do it, and our function; by torch and torchvision alone."""

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from coronet_core.attribution.perturbation import Perturbation, perturbation_maps
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.coronet import CoroNet
from coronet_core.common.seeds import generator


def fong(iterations: int) -> Perturbation:
    """Return the settings of Fong and Vedaldi, which the paper uses, for so many iterations."""
    return Perturbation(
        mask_size_px=28,
        mask_blur_radius_px=5.0,
        null_blur_radius_px=10.0,
        l1_weight=1e-4,
        tv_weight=1e-2,
        tv_beta=3.0,
        tv_norm="isotropic",
        learning_rate=0.1,
        iterations=iterations,
        jitter_px=3,
        seed=0,
    )


def network(device: torch.device) -> CoroNet:
    """Return an untrained CoroNet, its weights wanting gradients: what they are changes no time."""
    torch.manual_seed(0)
    return CoroNet(TFEN(FPAE(), FPAE()), build_cin()).eval().to(device)


def probabilities(coronet: CoroNet, image: Tensor) -> Tensor:
    """Return what CoroNet does, in the type of `image`."""
    predicted: Tensor = coronet.cin(coronet.tfen(image)).softmax(dim=1)
    return predicted


def plain_map(coronet: CoroNet, image: Tensor, target: int, settings: Perturbation) -> Tensor:
    """Explain one image (1, 1, H, W) as a script of 2020 would."""
    rng = generator(settings.seed, "perturbation")
    size = (settings.mask_size_px, settings.mask_size_px)
    mask = torch.rand(1, 1, *size, generator=rng).to(image).requires_grad_()
    null = _blurred(image, settings.null_blur_radius_px)
    optimizer = torch.optim.Adam([mask], lr=settings.learning_rate)
    for _ in range(settings.iterations):
        down, right = torch.randint(0, settings.jitter_px + 1, (2,), generator=rng).tolist()
        full = _upsampled(mask, image, settings)
        shifted, shifted_null = (_shifted(x, down, right) for x in (image, null))
        probability = probabilities(coronet, full * shifted + (1 - full) * shifted_null)[0, target]
        across, below = mask.diff(dim=3), mask.diff(dim=2)
        squares = functional.pad(across, (0, 1)) ** 2 + functional.pad(below, (0, 0, 0, 1)) ** 2
        roughness = (squares.clamp_min(1e-20) ** (settings.tv_beta / 2)).sum()
        loss = probability + settings.l1_weight * (1 - mask).abs().sum() + settings.tv_weight * roughness
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mask.data.clamp_(0, 1)
    return 1 - _upsampled(mask.detach(), image, settings)


def _blurred(image: Tensor, radius_px: float) -> Tensor:
    size = 2 * int(4 * radius_px + 0.5) + 1
    blurred: Tensor = gaussian_blur(image, [size, size], [radius_px, radius_px])
    return blurred


def _upsampled(mask: Tensor, image: Tensor, settings: Perturbation) -> Tensor:
    return _blurred(functional.interpolate(mask, size=image.shape[-2:]), settings.mask_blur_radius_px)


def _shifted(image: Tensor, down: int, right: int) -> Tensor:
    height, width = image.shape[-2:]
    return functional.pad(image, (right, 0, down, 0), mode="replicate")[..., :height, :width]


def our_maps(coronet: CoroNet, image: Tensor, target: Tensor, settings: Perturbation, batch_size: int) -> Tensor:
    """Explain images as the stage does, `batch_size` at a time."""
    batches = zip(image.split(batch_size), target.split(batch_size), strict=True)
    return torch.cat([perturbation_maps(partial(probabilities, coronet), i, t, settings) for i, t in batches])
