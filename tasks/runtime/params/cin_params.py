"""The section `cin` of `params.yaml`: the classifier and its training."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import with_config

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.common.literals import (
    CinArchitecture,
    CinInput,
    FineTune,
    Fusion,
    HeadInput,
    HeadStart,
    KeptWeights,
    LearningRateSchedule,
    MemberImages,
    Optimizer,
    PrecisionChoice,
)
from tasks.runtime.params.ranges import (
    STRICT,
    Allowed,
    BatchSize,
    LearningRate,
    Patience,
    WeightDecay,
    above,
    number,
    whole,
)

PRETRAINED_NAMES: Final = ("imagenet", "none")
SMALLEST_INCEPTION_PX: Final = 112
"""Of images below 107 pixels its last block leaves one, which batch norm cannot normalise; sides are multiples of 8."""
Pretrained = Annotated[
    str,
    Allowed("imagenet, none, or a file that exists", lambda name: name in PRETRAINED_NAMES or Path(name).is_file()),
]
ClassWeights = Annotated[
    list[Annotated[float, above(0, 1e6)]],
    Allowed("a weight above 0 for each of the 3 classes", lambda weights: len(weights) == len(CLASSES)),
]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class AugmentationParams:
    """How X-rays are changed at random before the autoencoders, each by numbers of its own; 0 changes nothing.

    Where anything is changed, residual tensors are computed at every step instead of read from shards.
    """

    rotation_degrees: Annotated[float, number(0, 180)] = 0.0
    shift: Annotated[float, number(0, 0.5)] = 0.0
    """As a fraction of each side."""
    scale: Annotated[float, number(0, 0.5)] = 0.0
    """The size changes by a factor of 1 - scale to 1 + scale."""
    crop: Annotated[float, number(0, 0.9)] = 0.0
    """The largest part of the area that is cut away."""
    brightness: Annotated[float, number(0, 1)] = 0.0
    contrast: Annotated[float, number(0, 1)] = 0.0


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class CinParams:
    """Training of the CIN (stage train_cin). Values of params that earlier versions did not have are the paper's."""

    input: CinInput
    """What it reads: the residual tensor (paper) or, for comparison, part of it, the image alone, or both."""
    architecture: CinArchitecture = "resnet18"
    fusion: Fusion = "planes"
    """How image and residual tensor are read together; other inputs have nothing to fuse."""
    members: Annotated[int, whole(1, 64)] = 1
    """How many times it is trained, each time from another seed; the probabilities are averaged."""
    member_images: MemberImages = "all"
    average_flips: bool = False
    """Whether each prediction is the mean of an input's and its mirror image's."""
    pretrained: Pretrained
    """`imagenet`, `none`, or the path of a state dict of the architecture. DVC does not watch that file."""
    fine_tune: FineTune = "all"
    head_input: HeadInput = "last_block"
    head_start: HeadStart = "random"
    class_weights: Literal["inverse_frequency", "equal"] | ClassWeights
    """Weights of the cross-entropy; a list names them in the order healthy, pneumonia, covid19."""
    label_smoothing: Annotated[float, number(0, 0.9)] = 0.0
    horizontal_flip: list[ClassName]
    """Classes whose residuals are flipped left to right at random."""
    vertical_flip: list[ClassName]
    augmentation: AugmentationParams = field(default_factory=AugmentationParams)
    epochs: Annotated[int, whole(0, 10_000)]
    """0 leaves the network as it starts: a frozen backbone with the head of `head_start`."""
    batch_size: BatchSize
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate
    """Of the head, and of all layers where `learning_rate_by_level` is 1."""
    learning_rate_by_level: Annotated[float, above(0, 1)] = 1.0
    """The learning rate of each level of layers as a fraction of that of the level behind it."""
    learning_rate_schedule: LearningRateSchedule = "constant"
    warm_up_epochs: Annotated[float, number(0, 1000)] = 0.0
    """In which the learning rate rises from 0."""
    weight_decay: WeightDecay
    precision: PrecisionChoice
    """`auto` is bfloat16 where the hardware computes with it, else float32."""
    keep: KeptWeights = "best"
    """Which weights a training ends with."""
    best_by: Literal[
        "validation_loss",
        "validation_unweighted_loss",
        "validation_roc_auc",
        "validation_accuracy",
        "training_accuracy",
    ]
    """What chooses the best epoch, of which patience_epochs too are counted. validation_loss has the class weights."""
    patience_epochs: Patience | None
    repetition: Annotated[int, whole(0, 10_000)] = 0
    """Trainings with different numbers differ in the CIN's random numbers alone; split and autoencoders stay."""


def contradictions(cin: dict[str, Any], image_size_px: int) -> Iterator[str]:
    """Yield faults that no single key of the section has. Raises KeyError or TypeError where others are missing."""
    cin = {one.name: one.default for one in fields(CinParams) if one.default is not MISSING} | cin
    if cin["fusion"] == "networks" and cin["input"] != "residual_tensor_and_image":
        yield f"cin.fusion = networks: allowed: planes, as cin.input is {cin['input']}"
    if cin["member_images"] == "folds" and cin["members"] == 1:
        yield "cin.members = 1: allowed: 2 or more, as cin.member_images is folds"
    if cin["head_input"] == "middle_blocks" and cin["architecture"] == "dark_covid_net":
        yield "cin.head_input = middle_blocks: allowed: last_block, as dark_covid_net has no such blocks"
    if cin["epochs"] == 0 and cin["head_start"] == "random":
        yield "cin.epochs = 0: allowed: 1 or more, as cin.head_start is random"
    elif cin["epochs"] == 0 and any(cin.get("augmentation", {}).values()):
        yield "cin.augmentation: allowed: zeros, as cin.epochs is 0 and nothing is trained on augmented images"
    if 0 < cin["epochs"] < cin["warm_up_epochs"]:
        yield f"cin.warm_up_epochs = {cin['warm_up_epochs']}: allowed: at most cin.epochs ({cin['epochs']})"
    if cin["head_start"] != "random" and cin["best_by"] == "training_accuracy":
        yield "cin.best_by = training_accuracy: allowed: a validation figure, as the start of training has no other"
    if cin["architecture"] == "dark_covid_net" and cin["pretrained"] == "imagenet":
        yield "cin.pretrained = imagenet: allowed: none, as dark_covid_net has no ImageNet weights"
    if cin["architecture"] == "inception_v3" and image_size_px < SMALLEST_INCEPTION_PX:
        size = f"data.image_size_px = {image_size_px}"
        yield f"{size}: allowed: {SMALLEST_INCEPTION_PX} or more, as cin.architecture is inception_v3"
