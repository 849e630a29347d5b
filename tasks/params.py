"""The schema of `params.yaml`: every key, its type, meaning and range. No defaults: the YAML is the one list."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config

from coronet_core.attribution.perturbation import TotalVariation
from coronet_core.classes import CLASSES, ClassName
from coronet_core.data.aspect import Aspect
from coronet_core.data.published import Leaks
from coronet_core.data.sources.rsna import CountedBy
from coronet_core.models.fpae import COARSEST_STRIDE, Latent
from coronet_core.precision import Precision
from tasks.ranges import Allowed, above, between, number, whole

STRICT = ConfigDict(extra="forbid", strict=True)

PRETRAINED_NAMES = ("imagenet", "none")


def _has_one_group(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False


def _stays_inside(path: str) -> bool:
    return bool(path) and not Path(path).is_absolute() and ".." not in Path(path).parts


Folder = Annotated[str, Allowed("a folder that exists", lambda path: Path(path).is_dir())]
InnerPath = Annotated[str, Allowed("a relative path without ..", _stays_inside)]
Pattern = Annotated[str, Allowed("a regular expression with one group", _has_one_group)]
Pretrained = Annotated[
    str,
    Allowed("imagenet, none, or a file that exists", lambda name: name in PRETRAINED_NAMES or Path(name).is_file()),
]
Fraction = Annotated[float, between(0, 1)]
Epochs = Annotated[int, whole(1, 10_000)]
Patience = Annotated[int, whole(1, 10_000)]
BatchSize = Annotated[int, whole(1, 4096)]
LearningRate = Annotated[float, above(0, 1)]
WeightDecay = Annotated[float, number(0, 1)]
ClassWeights = Annotated[
    list[Annotated[float, above(0, 1e6)]],
    Allowed("a weight for each of the 3 classes", lambda weights: len(weights) == len(CLASSES)),
]
SidePx = Annotated[int, whole(64, 2048, multiple_of=COARSEST_STRIDE)]
ShardImages = Annotated[int, whole(1, 100_000)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PhantomPatients:
    """Patients to draw of each class."""

    healthy: Annotated[int, whole(0, 100_000)]
    pneumonia: Annotated[int, whole(0, 100_000)]
    covid19: Annotated[int, whole(0, 100_000)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PhantomSource:
    """Procedural chest phantoms, the embedded demo."""

    kind: Literal["phantom"]
    patients: PhantomPatients
    images_per_patient_max: Annotated[int, whole(1, 100)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ImageFolderSource:
    """Class folders of image files."""

    kind: Literal["image_folder"]
    folder: InnerPath
    """Relative to data.root."""
    labels_csv: InnerPath | None
    """Relative to the folder; null takes the classes from the folders' names."""
    patient_id_pattern: Pattern | None
    """Regular expression whose first group is the patient in a file's name."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class CovidChestXraySource:
    """The collection of Cohen et al. 2020."""

    kind: Literal["covid_chestxray"]
    folder: InnerPath
    metadata_csv: InnerPath
    """Relative to the folder, as all paths of a source."""
    images: InnerPath
    """Folder of the images."""
    views: Annotated[list[str], Field(min_length=1)]
    """Accepted values of the column view, exactly as they are there."""
    modalities: Annotated[list[str], Field(min_length=1)]
    findings: Annotated[dict[str, ClassName], Field(min_length=1)]
    """Class of each accepted finding; others are passed over."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class RsnaSource:
    """The RSNA Pneumonia Detection Challenge."""

    kind: Literal["rsna"]
    folder: InnerPath
    images: InnerPath
    class_info_csv: InnerPath
    labels_csv: InnerPath
    nih_map_csv: InnerPath | None
    """RSNA's images to NIH's patients; null makes every image a patient of its own."""
    classes: Annotated[dict[str, ClassName], Field(min_length=1)]
    """Class of each accepted detailed class; others are passed over."""
    counted_by: CountedBy
    """`box` lists an image once for each of its boxes, as COVIDx did in March 2020."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ByPart:
    """What a published list has for each of its parts."""

    train: InnerPath
    test: InnerPath


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class CovidxListsSource:
    """COVID-Net's published train and test lists."""

    kind: Literal["covidx_lists"]
    folder: InnerPath
    lists: ByPart
    images: ByPart
    """Folders of the images of each part."""
    labels: Annotated[dict[str, ClassName], Field(min_length=1)]
    """Class of each accepted label; others are passed over."""
    nih_map_csv: InnerPath | None


Source = Annotated[
    PhantomSource | ImageFolderSource | CovidChestXraySource | RsnaSource | CovidxListsSource,
    Field(discriminator="kind"),
]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SplitByPatients:
    """Patients are drawn, in proportion to the classes."""

    by: Literal["patients"]
    test_fraction: Fraction
    validation_fraction: Fraction
    """Of what is left beside the test split."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SplitByTestPatients:
    """A published list of test patients and images; validation is drawn from the others."""

    by: Literal["test_patients"]
    test_patients: list[str]
    """As the sources call them: cohen-8."""
    test_images: list[InnerPath]
    """Files in data.root with one image id a line, as COVID-Net's rsna_test_patients_normal.txt."""
    leaks: Leaks
    """What becomes of patients who are in both parts."""
    validation_fraction: Fraction


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SplitByPublishedList:
    """The parts of the source `covidx_lists`; validation is drawn from its training part."""

    by: Literal["published_list"]
    leaks: Leaks
    validation_fraction: Fraction


SplitParams = Annotated[SplitByPatients | SplitByTestPatients | SplitByPublishedList, Field(discriminator="by")]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class DataParams:
    """What images there are and how patients are split (stage build_split)."""

    root: Folder
    """Folder of the raw images; DVC watches it."""
    sources: Annotated[list[Source], Field(min_length=1)]
    image_size_px: SidePx
    aspect: Aspect
    """How an image becomes square."""
    duplicates: Literal["drop", "keep"]
    """Of images that show the same, one stays, or all of them: on one side of the split in any case."""
    ids: Literal["hashed", "as_given"]
    """How patients and images are called in what is written."""
    split: SplitParams
    max_rejected_fraction: Annotated[float, number(0, 1)]
    """More unreadable images than this stop the stage."""
    shard_images: ShardImages


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
    epochs: Epochs
    batch_size: BatchSize
    epoch_fraction: Annotated[float, above(0, 1)]
    """Share of the images that an epoch visits."""
    learning_rate: LearningRate
    weight_decay: WeightDecay
    precision: Precision
    best_by: Literal["validation_loss", "training_last_step_loss"]
    patience_epochs: Patience | None


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ResidualParams:
    """Residual tensors on disk, eq. (5)-(7) (stage materialize_residuals)."""

    precision: Precision
    batch_size: BatchSize
    shard_images: ShardImages


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class CinParams:
    """Training of the CIN (stage train_cin)."""

    pretrained: Pretrained
    """`imagenet`, `none`, or the path of a ResNet-18 state dict. DVC does not watch that file."""
    class_weights: Literal["inverse_frequency", "equal"] | ClassWeights
    """Weights of the cross-entropy; a list names them in the order healthy, pneumonia, covid19."""
    horizontal_flip: list[ClassName]
    """Classes whose residuals are flipped left to right at random."""
    vertical_flip: list[ClassName]
    epochs: Epochs
    batch_size: BatchSize
    learning_rate: LearningRate
    weight_decay: WeightDecay
    precision: Precision
    best_by: Literal["validation_loss", "validation_accuracy", "training_accuracy"]
    patience_epochs: Patience | None


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class EvaluateParams:
    """Figures on the test split (stage evaluate)."""

    batch_size: BatchSize
    confidence: Annotated[float, between(0.5, 1)]
    """Of the intervals, 0.95 for 95%."""
    auc_of: Literal["probabilities", "predictions"]
    """The released code took areas under curves of hard predictions."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ExplainParams:
    """Meaningful perturbations, paper sec. 3.4 (stage explain)."""

    images_per_class: Annotated[int, whole(1, 1000)]
    batch_size: BatchSize
    """Images explained at once; changes memory and speed, not the maps."""
    mask_size_px: Annotated[int, whole(2, 512)]
    mask_blur_radius_px: Annotated[float, number(0, 100)]
    null_blur_radius_px: Annotated[float, above(0, 100)]
    l1_weight: Annotated[float, number(0, 1000)]
    tv_weight: Annotated[float, number(0, 1000)]
    tv_beta: Annotated[float, number(1, 10)]
    tv_norm: TotalVariation
    learning_rate: LearningRate
    iterations: Annotated[int, whole(1, 100_000)]
    jitter_px: Annotated[int, whole(0, 32)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Params:
    """All of `params.yaml`."""

    seed: Annotated[int, whole(0, 2**31 - 1)]
    """Every random number of a run is derived from it."""
    device: Literal["auto", "cpu", "cuda"]
    """Where networks run; `auto` takes a GPU if there is one. Not a reason to run a stage again."""
    data: DataParams
    autoencoder: AutoencoderParams
    residuals: ResidualParams
    cin: CinParams
    evaluate: EvaluateParams
    explain: ExplainParams
