"""The schema of the section `explain` of `params.yaml`: which images are explained, how, and how that is measured."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import with_config

from coronet_core.common.literals import TotalVariation
from tasks.runtime.params.ranges import STRICT, Allowed, above, between, number, whole

MethodName = Literal["perturbation", "occlusion", "integrated_gradients", "grad_cam"]
METHOD_NAMES: Final[dict[str, str]] = {
    "perturbation": "Meaningful perturbation",
    "occlusion": "Occlusion",
    "integrated_gradients": "Integrated gradients",
    "grad_cam": "Grad-CAM",
}
"""As pages and pictures show them."""
BlurRadiusPx = Annotated[float, above(0, 100)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PerturbationParams:
    """Meaningful perturbations, Fong and Vedaldi 2017, the explainer of paper sec. 3.4."""

    mask_size_px: Annotated[int, whole(2, 512)]
    mask_blur_radius_px: Annotated[float, number(0, 100)]
    null_blur_radius_px: BlurRadiusPx
    """Blur of the image without evidence; here and in the other sections."""
    l1_weight: Annotated[float, number(0, 1000)]
    tv_weight: Annotated[float, number(0, 1000)]
    tv_beta: Annotated[float, number(1, 10)]
    tv_norm: TotalVariation
    learning_rate: Annotated[float, above(0, 1)]
    iterations: Annotated[int, whole(1, 100_000)]
    jitter_px: Annotated[int, whole(0, 32)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class OcclusionParams:
    """A window that is blurred, over the whole image."""

    window_px: Annotated[int, whole(1, 2048)]
    stride_px: Annotated[int, whole(1, 2048)]
    null_blur_radius_px: BlurRadiusPx


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class IntegratedGradientsParams:
    """Gradients along the way from the blurred image to the image."""

    steps: Annotated[int, whole(2, 10_000)]
    null_blur_radius_px: BlurRadiusPx


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class MeasureParams:
    """How far maps can be trusted."""

    deletion_steps: Annotated[int, whole(2, 1000)]
    """In which an image's pixels are deleted, and inserted again."""
    null_blur_radius_px: BlurRadiusPx
    border_fraction: Annotated[float, between(0, 0.5)]
    """Width of the frame, as a fraction of each side."""
    pointing_tolerance_px: Annotated[float, number(0, 100)]
    """How far beside a box the most salient pixel still counts."""
    repeat_seeds: Annotated[int, whole(0, 20)]
    """Further seeds under which the perturbation's maps are made again; 0 leaves repeatability out."""
    randomisation_images: Annotated[int, whole(0, 1000)]
    """Images that are explained again at every level of randomised weights; 0 leaves it out."""
    confidence: Annotated[float, between(0.5, 1)]
    """Of the intervals, 0.95 for 95%."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ExplainParams:
    """Maps of test images by several methods, and what they are worth (stage explain)."""

    images_per_class: Annotated[int, whole(1, 1000)]
    boxed_images: Annotated[int, whole(0, 10_000)]
    """Further images, recognised rightly, with boxes around their opacities: for the pointing game."""
    batch_size: Annotated[int, whole(1, 4096)]
    """Images explained at once; changes memory and speed; maps only by rounding, which the iterations amplify."""
    methods: Annotated[
        list[MethodName],
        Allowed(
            "perturbation and any of occlusion, integrated_gradients, grad_cam, each once",
            lambda names: "perturbation" in names and len(set(names)) == len(names),
        ),
    ]
    """Random maps and a centre map are always measured beside them."""
    gallery_method: MethodName = "perturbation"
    """Of the maps of errors and uncertain images, which the report shows and nothing measures; any method."""
    null_image: Literal["blur", "healthy_reconstruction"] = "blur"
    """What perturbation, occlusion and integrated gradients put in place of evidence: the blurred image, or F_H(X),
    AE_H's reconstruction; the radii of their sections are those of the blur. The measures always blur."""
    perturbation: PerturbationParams
    occlusion: OcclusionParams
    integrated_gradients: IntegratedGradientsParams
    measures: MeasureParams
