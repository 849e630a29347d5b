"""The schema of the section `data` of `params.yaml`: where images come from, and how they are read and split."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, with_config

from coronet_core.common.classes import ClassName, FoldUnit
from coronet_core.common.literals import Aspect, CountedBy, Leaks, Reading
from coronet_core.data.class_names import ALIASES
from tasks.runtime.params.ranges import STRICT, Folder, Fraction, InnerPath, Pattern, ShardImages, SidePx, number, whole


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PhantomPatients:
    """Patients to draw of each class."""

    healthy: Annotated[int, whole(0, 100_000)]
    pneumonia: Annotated[int, whole(0, 100_000)]
    covid19: Annotated[int, whole(0, 100_000)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class AnySource:
    """What every source has."""

    used_by: Literal["all", "autoencoders"] = "all"
    """What its images are for: all networks, or the training of the autoencoders alone."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PhantomSource(AnySource):
    """Procedural chest phantoms, the embedded demo."""

    kind: Literal["phantom"]
    patients: PhantomPatients
    images_per_patient_max: Annotated[int, whole(1, 100)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class ImageFolderSource(AnySource):
    """Class folders of image files."""

    kind: Literal["image_folder"]
    folder: InnerPath
    """Relative to data.root."""
    labels_csv: InnerPath | None
    """Relative to the folder; null takes the classes from the folders' names, auto does where no labels.csv is."""
    patient_id_pattern: Pattern | None
    """Regular expression whose first group is the patient in a file's name or, with nothing there, in its path below
    the folder, such as `^[^/]+/(patient[0-9]+)/`."""
    class_aliases: dict[str, ClassName] = field(default_factory=lambda: dict(ALIASES))
    """Other names of the classes in folders and labels; capitals, blanks and signs do not matter."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class CovidChestXraySource(AnySource):
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
    """Class of each accepted finding; others are skipped."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class RsnaSource(AnySource):
    """The RSNA Pneumonia Detection Challenge."""

    kind: Literal["rsna"]
    folder: InnerPath
    images: InnerPath
    class_info_csv: InnerPath
    labels_csv: InnerPath
    nih_map_csv: InnerPath | None
    """RSNA's images to NIH's patients; null makes every image a patient of its own."""
    classes: Annotated[dict[str, ClassName], Field(min_length=1)]
    """Class of each accepted detailed class; others are skipped."""
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
class CovidxListsSource(AnySource):
    """COVID-Net's published train and test lists."""

    kind: Literal["covidx_lists"]
    folder: InnerPath
    lists: ByPart
    images: ByPart
    """Folders of the images of each part."""
    labels: Annotated[dict[str, ClassName], Field(min_length=1)]
    """Class of each accepted label; others are skipped."""
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
    """How patients in both parts are handled."""
    validation_fraction: Fraction


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SplitByPublishedList:
    """The parts of the source `covidx_lists`; validation is drawn from its training part."""

    by: Literal["published_list"]
    leaks: Leaks
    validation_fraction: Fraction


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SplitByFolds:
    """One fold of a cross-validation is the test split; validation is drawn from the others."""

    by: Literal["folds"]
    folds: Annotated[int, whole(2, 100)]
    fold: Annotated[int, whole(1, 100)]
    """Which of the folds, counted from 1, is the test split."""
    unit: FoldUnit
    """What stays whole: a patient or, for comparison with published figures that split so, only an image with its
    duplicates."""
    validation_fraction: Fraction


SplitParams = Annotated[
    SplitByPatients | SplitByTestPatients | SplitByPublishedList | SplitByFolds, Field(discriminator="by")
]


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
    require_secret_key: bool = False
    """Refuse to hash ids of real patients with the publicly known key. False if the file lacks the key."""
    oldest_age_years: Annotated[int, whole(0, 120)] | None = None
    """Ages above it are written as the year after it; null writes them as they are."""
    split: SplitParams
    max_rejected_fraction: Annotated[float, number(0, 1)]
    """More unreadable images than this stop the stage."""
    shard_images: ShardImages
    reading: Reading = 1
    """The version of the rule by which values become grey. Files of params from before it was kept mean the first."""
    min_grey_levels: Annotated[int, whole(0, 256)] = 32
    """Images with fewer are unsuitable, as lateral views and CT slices are. The second reading rule counts them."""
    unsuitable: Literal["warn", "reject"] = "warn"
    """How unsuitable images are handled: noted in the manifest, or excluded from the split."""
