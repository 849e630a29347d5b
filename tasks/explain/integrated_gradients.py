"""Integrated gradients, by Captum: to compare the paper's maps with."""

from torch import Tensor

from coronet_core.attribution.blur import blur
from coronet_core.classifier.coronet import CoroNet
from tasks.runtime.params.explain import IntegratedGradientsParams


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
