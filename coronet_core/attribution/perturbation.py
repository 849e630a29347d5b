"""Meaningful perturbation (Fong and Vedaldi 2017), the explainer of paper sec. 3.4.

For an image X and a class c, a mask m of S x S values in [0, 1] is learnt that blurs away as little as possible
and yet lowers the probability of c as far as possible:

    min over m of   p_c(up(m) X + (1 - up(m)) blur(X))  +  l1 * sum |1 - m|  +  tv * sum |grad m|^beta

`up` brings the mask to the image's size (nearest neighbour, then an optional Gaussian blur), `blur` is a Gaussian
blur, and the image is shifted by a few pixels in each iteration so that the mask cannot fit single pixels. The map
that is shown is 1 - up(m): high where blurring hurts the class. X is perturbed, not its residual tensor: the
perturbed image passes both autoencoders and the CIN. Its networks should be frozen (`autoencoder.residuals.freeze`):
gradients of their weights would be thrown away, and cost as much as the mask's own.

Images of a batch share the initial mask and the shifts, and each keeps its own mask and its own sum of losses, so a
batch gives each image the map that it would get alone. In float64 the two agree to 1e-6 and better; in float32 Adam,
whose first steps are as long for a gradient of 1e-8 as for one of 1, makes visible what rounding did.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from coronet_core.attribution.blur import blur, upsampling_matrix
from coronet_core.common.literals import TotalVariation
from coronet_core.common.seeds import generator
from coronet_core.support.callbacks import noop


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """Settings of the method, under the names that the paper's authors and Fong and Vedaldi give them."""

    mask_size_px: int
    mask_blur_radius_px: float
    """Standard deviation of the blur of the upsampled mask; 0 leaves it in blocks."""
    null_blur_radius_px: float
    """Standard deviation of the blur that makes the image without evidence."""
    l1_weight: float
    tv_weight: float
    tv_beta: float
    tv_norm: TotalVariation
    learning_rate: float
    iterations: int
    jitter_px: int
    seed: int


def perturbation_maps(
    probabilities: Callable[[Tensor], Tensor],
    image: Tensor,
    target: Tensor,
    settings: Perturbation,
    on_iteration: Callable[[], object] = noop,
    null: Tensor | None = None,
) -> Tensor:
    """Return attribution maps (B, 1, H, W) in [0, 1], of `image`'s type, high where the evidence for `target` lies.

    `image` is X, (B, 1, H, W) float in [0, 1]; `target` the class indices (B,) to explain; `probabilities` maps
    images to class probabilities (B, 3) and must let gradients through to the images. `null`, like `image`, is the
    image without evidence; None is its blur.
    """
    rng = generator(settings.seed, "perturbation")
    size = (settings.mask_size_px, settings.mask_size_px)
    start = torch.rand(1, 1, *size, generator=rng).to(image)  # (1, 1, S, S)
    mask = start.expand(len(image), -1, -1, -1).clone().requires_grad_()  # (B, 1, S, S)
    rows, columns = _upsampling(image, settings)  # (H, S), (W, S)
    if null is None:
        null = blur(image, settings.null_blur_radius_px)  # (B, 1, H, W)
    detail = image - null  # what the blur takes away, and a mask of 1 gives back
    optimizer = torch.optim.Adam([mask], lr=settings.learning_rate)
    for _ in range(settings.iterations):
        shift = torch.randint(0, settings.jitter_px + 1, (2,), generator=rng).tolist()
        full = rows @ mask @ columns.T  # (B, 1, H, W)
        perturbed = torch.addcmul(shifted(null, *shift), full, shifted(detail, *shift))
        evidence = probabilities(perturbed).gather(1, target[:, None]).sum()
        sparsity = settings.l1_weight * (1 - mask).abs().sum()
        smoothness = settings.tv_weight * total_variation(mask, settings.tv_beta, settings.tv_norm).sum()
        (mask.grad,) = torch.autograd.grad(evidence + sparsity + smoothness, [mask])
        optimizer.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
        on_iteration()
    return (1 - rows @ mask.detach() @ columns.T).clamp(0, 1)  # rounding alone leaves [0, 1]


def _upsampling(image: Tensor, settings: Perturbation) -> tuple[Tensor, Tensor]:
    """Return the matrices (H, S) and (W, S) that bring a mask to the size of `image`, blurred."""
    height, width = image.shape[-2:]
    rows, columns = (
        upsampling_matrix(settings.mask_size_px, length, min(height, width), settings.mask_blur_radius_px)
        for length in (height, width)
    )
    return rows.to(image), columns.to(image)


def shifted(image: Tensor, down_px: int, right_px: int) -> Tensor:
    """Shift (B, C, H, W) down and right; what enters repeats the border."""
    height, width = image.shape[-2:]
    return functional.pad(image, (right_px, 0, down_px, 0), mode="replicate")[..., :height, :width]


def total_variation(mask: Tensor, beta: float, norm: TotalVariation) -> Tensor:
    """Return the total variation (B,) of masks (B, 1, S, S).

    Isotropic: sum of (dx^2 + dy^2)^(beta / 2) over the pixels; anisotropic: sum of |dx|^beta + |dy|^beta.
    """
    across, down = mask.diff(dim=3).abs(), mask.diff(dim=2).abs()
    if norm == "anisotropic":
        return (across**beta).sum((1, 2, 3)) + (down**beta).sum((1, 2, 3))
    squares = functional.pad(across, (0, 1)) ** 2 + functional.pad(down, (0, 0, 0, 1)) ** 2  # (B, 1, S, S)
    # The power's gradient at 0 is infinite for beta < 2; nothing there is to be smoothed.
    return torch.where(squares > 0, squares.clamp_min(1e-20) ** (beta / 2), 0).sum((1, 2, 3))
