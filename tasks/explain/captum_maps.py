"""Methods that captum has, for comparison: integrated gradients and Grad-CAM, both through the whole network.

Captum wants images whose gradients are kept, and would warn and switch them on by itself: they are copies here.
"""

from torch import Tensor, nn
from torch.nn import functional

from coronet_core.attribution.blur import blur
from coronet_core.classifier.coronet import CoroNet
from coronet_core.classifier.inputs import cin_input
from tasks.runtime.params.explain import IntegratedGradientsParams


def integrated_gradients_maps(
    coronet: CoroNet, image: Tensor, target: Tensor, settings: IntegratedGradientsParams
) -> Tensor:
    """Return the maps (B, 1, H, W) of integrated gradients (Sundararajan et al. 2017), float32, at least 0.

    From the blurred image to X, of the probability of `target` (B,). What speaks against the class counts as 0.
    """
    from captum.attr import IntegratedGradients

    attributions: Tensor = IntegratedGradients(lambda x: coronet(x).probabilities).attribute(
        image.clone().requires_grad_(),
        baselines=blur(image, settings.null_blur_radius_px),
        target=target,
        n_steps=settings.steps,
        internal_batch_size=len(image),  # one step of all images at a time: memory does not grow with the steps
    )
    return attributions.detach().float().clamp_min(0)


def grad_cam_maps(coronet: CoroNet, image: Tensor, target: Tensor) -> Tensor:
    """Return the maps (B, 1, H, W) of Grad-CAM (Selvaraju et al. 2017) on the CIN's last block, float32, at least 0.

    Of the logit of `target` (B,), as its authors have it. The block's cells are 32 pixels wide, its maps as coarse.
    """
    from captum.attr import LayerGradCam

    network = _Logits(coronet)
    cells: Tensor = LayerGradCam(network, coronet.cin.get_submodule("layer4")).attribute(
        image.clone().requires_grad_(), target=target, relu_attributions=True
    )  # (B, 1, H / 32, W / 32)
    return functional.interpolate(cells.detach().float(), size=image.shape[-2:], mode="bilinear", align_corners=False)


class _Logits(nn.Module):
    """CoroNet up to the softmax."""

    def __init__(self, coronet: CoroNet) -> None:
        super().__init__()
        self.coronet = coronet

    def forward(self, image: Tensor) -> Tensor:
        coronet = self.coronet
        logits: Tensor = coronet.cin(cin_input(coronet.kind, image, coronet.tfen(image)))
        return logits
