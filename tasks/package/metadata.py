"""`coronet.json`, the metadata of a package: settings, calibration, digests of the other files, and lineage."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import NonNegativeInt, StringConstraints, TypeAdapter, ValidationError, with_config

from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.common.literals import Aspect, CinInput, Precision, Reading
from coronet_core.support.errors import DataError
from tasks.calibrate.calibration_file import Calibration
from tasks.runtime.params.ranges import STRICT, BatchSize, SidePx
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.safe_text.identifiers import DVC_MD5, GIT_COMMIT, SHA256

FORMAT_VERSION: Final = 1
"""Version of the folder's layout and of the metadata. Other versions are refused."""
DESCRIPTION: Final = "coronet.json"
CARD: Final = "MODEL_CARD.md"
AUTOENCODERS: Final[dict[ClassName, str]] = {
    "healthy": "autoencoder_healthy.safetensors",
    "pneumonia": "autoencoder_pneumonia.safetensors",
}
CIN: Final = "cin.safetensors"
SCALE: Final = "residual_scale.safetensors"
MAX_DESCRIPTION_BYTES: Final = 16 * 2**20
REMEDY: Final = "Package the networks again (`coronet run`), or fetch the package again (`coronet models fetch`)."

Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
Md5 = Annotated[str, StringConstraints(pattern=DVC_MD5)]
Commit = Annotated[str, StringConstraints(pattern=f"{GIT_COMMIT}|^unknown$")]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Settings:
    """Input of the networks, and how they are run."""

    image_size_px: SidePx
    aspect: Aspect
    residuals: ResidualParams
    cin_input: CinInput
    batch_size: BatchSize
    """Of the CIN."""
    reading: Reading = 1
    """Version of the rule that converts pixel values to grey; 1 in older packages, which do not record it."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """Digest and size of a file of the package."""

    sha256: Sha256
    size_bytes: NonNegativeInt


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What a package was made from. Digests are DVC's MD5 by path, from `dvc.lock`."""

    commit: Commit
    """Of the code, `unknown` without git."""
    has_local_changes: bool
    """Whether files, params.yaml included, differed from the commit."""
    params: dict[str, Any]
    """Params that the stages ran with, by section."""
    data: dict[str, Md5]
    """Raw data, split, weights and reports."""
    code: dict[str, Md5]
    """Every file of code that a stage depends on."""
    training_precision: dict[str, Precision] = field(default_factory=dict)
    """Number format in which each network was trained; empty in older packages, which do not record it."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of `coronet.json`."""

    format_version: Literal[1]
    classes: list[ClassName]
    """In the order of the logits."""
    settings: Settings
    calibration: Calibration
    files: dict[str, FileEntry]
    lineage: Lineage


SCHEMA: Final = TypeAdapter(Description)


def files_described(settings: Settings) -> tuple[str, ...]:
    """Return the files of a package apart from `coronet.json`."""
    scale = () if settings.residuals.scale == "none" else (SCALE,)
    return (*AUTOENCODERS.values(), CIN, CARD, *scale)


def description_bytes(description: Description) -> bytes:
    """Return the description as JSON: the same bytes for equal descriptions."""
    values = SCHEMA.dump_python(description, mode="json")
    return (json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def read_description(folder: Path) -> Description:
    """Read and check the description of the package in `folder`.

    Raises DataError if it is missing or invalid, or if its format version is unknown.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise DataError(
            f"{path}: missing, so {folder} is not a package. Give another folder, or make it with `coronet run`."
        )
    if path.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise DataError(f"{path}: {path.stat().st_size / 2**20:.0f} MiB, too large for a package's metadata. {REMEDY}")
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:  # JSON's and Unicode's
        raise DataError(f"{path}: not JSON ({error}). {REMEDY}") from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version = {version!r}, but this version reads {FORMAT_VERSION}. Use the version of "
            "CoroNet that wrote the package, or package the networks again (`coronet run`)."
        )
    try:
        description = SCHEMA.validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {place}: {first['msg']}. {REMEDY}") from error
    if tuple(description.classes) != CLASSES:
        raise DataError(f"{path}: classes = {description.classes}, expected {list(CLASSES)}. {REMEDY}")
    return description


def package_digest(folder: Path) -> str:
    """Return the digest of a package: the SHA-256 of `coronet.json`, which has those of all other files."""
    return hashlib.sha256((folder / DESCRIPTION).read_bytes()).hexdigest()
