"""All parameters of a run as dataclasses: the sections of `params.yaml` and their rules."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import with_config

from coronet_core.common.classes import ClassName
from coronet_core.common.literals import MAX_LATENT_CHANNELS, Latent, Precision, PrecisionChoice, ResidualScaling
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.params.data import DataParams
from tasks.runtime.params.explain import ExplainParams
from tasks.runtime.params.ranges import (
    STRICT,
    Allowed,
    BatchSize,
    LearningRate,
    Patience,
    ShardImages,
    SidePx,
    WeightDecay,
    above,
    between,
    number,
    whole,
)

Approval = Literal["auto", "manual"]
ComparedBy = Literal["accuracy", "balanced_accuracy", "roc_auc.macro"]
Share = Annotated[float, number(0, 1)]
SIDES_OF_A_BOX = 4
Device = Literal["auto", "cpu", "cuda"]
ExistingFile = Annotated[str, Allowed("a file that exists", lambda name: Path(name).is_file())]
Fraction = Annotated[float, number(0, 1)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SensitivityFloors:
    """A share for each class."""

    healthy: Share
    pneumonia: Share
    covid19: Share


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PromotionParams:
    """What a version must show before it becomes the champion (flow promote). No stage depends on it."""

    min_sensitivity: SensitivityFloors
    """What the lower end of the interval of each class's sensitivity must reach; 0 asks for nothing."""
    compared_by: ComparedBy
    """The figure by which a candidate is compared with the champion, on the same test images."""
    max_drop: Share
    """By which the candidate may be worse at most, anywhere in the interval of the paired difference."""
    max_calibration_error: Annotated[float, above(0, 1)]
    """Of the calibrated probabilities (ECE) on the test split."""
    require_leak_audit: bool
    """Refuse a candidate whose test patients are in its training split too."""
    require_shortcut_audit: bool
    """Refuse a candidate that the stage audit did not pass."""
    approval: Approval
    """`manual` asks a person once the rules are met: on Prefect's page, or on the terminal of `coronet promote`."""
    approval_timeout_hours: Annotated[float, above(0, 720)]
    """How long that person has to reply; no reply counts as no."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PretrainedAutoencoders:
    """Files of weights for AE_H and AE_P, of this software or of the authors' release. DVC does not watch them."""

    healthy: ExistingFile
    pneumonia: ExistingFile

    def of(self, label: ClassName) -> str:
        """Return the file for the autoencoder of a class."""
        return self.healthy if label == "healthy" else self.pneumonia


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class AutoencoderParams:
    """Training of AE_H and AE_P, eq. (2)-(4) (stage train_autoencoder)."""

    latent: Latent
    """Z of eq. (4): the whole pyramid (paper) or its coarsest level (released code)."""
    regulariser_weight: Annotated[float, number(0, 1000)]
    """Lambda of eq. (3)."""
    training_size_px: SidePx | None
    """Resize by nearest neighbour before training; null trains at data.image_size_px."""
    epochs: Annotated[int, whole(0, 10_000)]
    """0 takes the weights of autoencoder.pretrained as they are."""
    batch_size: BatchSize
    epoch_fraction: Annotated[float, above(0, 1)]
    """Share of the images that an epoch visits."""
    learning_rate: LearningRate
    weight_decay: WeightDecay
    precision: PrecisionChoice
    """`auto` is bfloat16 where the hardware computes with it, else float32."""
    best_by: Literal["validation_loss", "validation_reconstruction", "training_last_step_loss"]
    """The reconstruction is the loss without the regulariser, which compares E(X) with E(X~): in evaluation both are
    normalised by the same running statistics, and without skips it can be a thousand times that of training."""
    patience_epochs: Patience | None
    pretrained: PretrainedAutoencoders | None = None
    """Weights to begin with; null draws them at random. Files of params from before a key was there, this or one below,
    mean the paper's network and training."""
    adds_image: bool = True
    """Whether the image is added before the last sigmoid."""
    skip_dropout: Share = 0.0
    """Probability of each skip of each training image to be left out; 1 builds a network without skips."""
    latent_channels: Annotated[int, whole(1, MAX_LATENT_CHANNELS)] = 8
    """Of Z, at each level."""
    finest_stride: Literal[1, 2, 4, 8] = 1
    """Stride of the finest level in Z: 1 has all four levels, 8 the coarsest alone."""
    noise: Share = 0.0
    """Standard deviation of Gaussian noise on training images, whose grey values are in [0, 1]."""
    hidden_fraction: Annotated[float, number(0, 0.95)] = 0.0
    """Share of the squares of a training image that are hidden."""
    hidden_patch_px: Annotated[int, whole(1, 512)] = 16
    """Side of such a square."""
    ssim_weight: Annotated[float, number(0, 1000)] = 0.0
    """Weight of 1 - SSIM in the loss."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ResidualParams:
    """Residual tensors on disk, eq. (5)-(7) (stage materialize_residuals)."""

    precision: Precision
    batch_size: BatchSize
    shard_images: ShardImages
    scale: ResidualScaling = field(default="none", repr=False)  # keeps the digests of models from before it was there
    """What the CIN reads: the residual tensor as it is (paper), each channel standardised over the training split, or
    divided by the local residual of healthy validation images."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class CalibrateParams:
    """What the validation split settles for the test split (stage calibrate)."""

    miscoverage: Annotated[float, between(0, 0.5)]
    """Share of prediction sets that may miss the truth; a smaller share leaves more images unanswered."""
    sensitivity_floor: Annotated[float, above(0, 1)]
    """Share of the validation split's COVID-19 images that the threshold for COVID-19 must reach."""
    energy_percentile: Annotated[float, between(50, 100)]
    """Of the validation images' distances; an image that is further out counts as out of distribution."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """Figures on the test split (stage evaluate)."""

    batch_size: BatchSize
    confidence: Annotated[float, between(0.5, 1)]
    """Of the intervals, 0.95 for 95%."""
    auc_of: Literal["probabilities", "predictions"]
    """The released code took areas under curves of hard predictions."""
    bootstrap_replicates: Annotated[int, whole(100, 100_000)]
    """Draws of the test split's patients from which intervals are taken."""
    specificities: list[Annotated[float, between(0, 1)]]
    """At which the sensitivity for COVID-19 is given."""
    small_group_images: Annotated[int, whole(1, 100_000)]
    """Groups by source, view, sex or age with fewer images are marked as too small to judge."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class AuditParams:
    """What the network reads: accuracy with parts of the images hidden, and images that are none (stage audit)."""

    batch_size: BatchSize
    lungs_box: Annotated[
        list[Fraction],
        Allowed(
            "left, top, right, bottom as fractions from 0 to 1, left below right and top below bottom",
            lambda box: len(box) == SIDES_OF_A_BOX and box[0] < box[2] and box[1] < box[3],
        ),
    ]
    """The box that is filled to hide the lungs."""
    border_fraction: Annotated[float, between(0, 0.5)]
    """Width of the outer frame that is filled, or that alone is left, as a fraction of the image's sides."""
    probe_images: Annotated[int, whole(1, 100_000)]
    """Test images at most of which probes of each kind are made, images that are no upright chest X-ray."""
    max_retained_skill: Annotated[float, number(0, 1)]
    """Share of the skill on whole images that may be left without the lungs, or on the border alone."""
    max_source_skill: Annotated[float, number(0, 1)]
    """Share of that skill that may be had from the name of the source, without any image."""
    min_kept_skill: Annotated[float, number(0, 1)]
    """Share of that skill that must be left with borders and text hidden."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Params:
    """All of `params.yaml`."""

    seed: Annotated[int, whole(0, 2**31 - 1)]
    """Every random number of a run is derived from it."""
    device: Device
    """Where networks run; `auto` takes a GPU if there is one. Not a reason to run a stage again."""
    stages_per_gpu: Annotated[int, whole(1, 64)]
    """Stages that may share a GPU, of all projects of a user on the host; others wait. Nor is this such a reason."""
    training_processes: Annotated[int, whole(1, 64)]
    """Processes that train a network together, on a GPU each or on shares of the CPU, each on its part of every batch.

    batch_size stays that of all of them, so the weights differ by rounding alone. Nor is this such a reason."""
    data: DataParams
    autoencoder: AutoencoderParams
    residuals: ResidualParams
    cin: CinParams
    calibrate: CalibrateParams
    evaluate: EvaluateParams
    audit: AuditParams
    explain: ExplainParams
    promotion: PromotionParams
