"""Grad-CAM, by Captum: to compare the paper's maps with."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from coronet_core.classifier.coronet import CoroNet


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
