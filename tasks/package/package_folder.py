"""The package: one folder with weights, params, calibration and model card; written, checked and read."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from coronet_core.classifier.cin_design import require_networks
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinInput
from coronet_core.common.weights import first_not_finite
from coronet_core.support.errors import DataError, WeightsError
from tasks.networks.trained_cin import design_in
from tasks.networks.trained_tfen import scale_of_file, untrained_autoencoder
from tasks.package.metadata import (
    AUTOENCODERS,
    CARD,
    CIN,
    DESCRIPTION,
    FORMAT_VERSION,
    REMEDY,
    SCALE,
    Description,
    FileEntry,
    Lineage,
    Settings,
    description_bytes,
    files_described,
    read_description,
)
from tasks.package.trained_model import TrainedModel
from tasks.runtime.files import publish_folder


def check_weights(name: str, content: bytes, cin_input: CinInput) -> None:
    """Raise WeightsError unless `content` is a safetensors file of finite weights for the network of file `name`.

    Keys, shapes and types must match the network. Pickled files are never read, whatever their name.
    """
    try:
        given = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{name}: not a safetensors file ({error}); other formats are not read. {REMEDY}") from error
    with torch.random.fork_rng(devices=[]):  # in memory: initialising on the meta device loads torch's compiler, 1.6 s
        is_autoencoder = name in AUTOENCODERS.values()
        network = untrained_autoencoder(content, name) if is_autoencoder else _untrained_cin(content, cin_input, given)
        expected = network.state_dict()
    if wrong := sorted(expected.keys() ^ given.keys()):
        raise WeightsError(f"{name}: {len(wrong)} keys are missing or unknown (first: {wrong[0]}). {REMEDY}")
    for key, tensor in given.items():
        if _kind(tensor) != _kind(expected[key]):
            raise WeightsError(f"{name}: {key} is {_kind(tensor)}, expected {_kind(expected[key])}. {REMEDY}")
    if broken := first_not_finite(given):
        raise WeightsError(f"{name}: {broken} has non-finite values. {REMEDY}")


def _untrained_cin(content: bytes, cin_input: CinInput, given: Mapping[str, Tensor]) -> nn.Module:
    design = design_in(content, cin_input)
    require_networks(design, given, CIN)
    return design.build()


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def write_package(folder: Path, model: TrainedModel, card: str, lineage: Lineage) -> None:
    """Write the package of `model` to `folder` atomically; an existing package is replaced.

    The same model, card and lineage give the same bytes. Raises WeightsError for weights that do not fit.
    """
    contents = _weights(model) | {CARD: card.encode()}
    settings = Settings(
        image_size_px=model.image_size_px,
        aspect=model.aspect,
        residuals=model.residuals,
        cin_input=model.cin_input,
        batch_size=model.batch_size,
        reading=model.reading,
    )
    _check_contents(contents, settings)
    description = Description(
        format_version=FORMAT_VERSION,
        classes=list(CLASSES),
        settings=settings,
        calibration=model.calibration,
        files={name: _entry(content) for name, content in contents.items()},
        lineage=lineage,
    )
    partial, aside = (folder.with_name(f".{folder.name}.{state}") for state in ("partial", "former"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in (contents | {DESCRIPTION: description_bytes(description)}).items():
        (partial / name).write_bytes(content)
    publish_folder(partial, folder, aside)


def read_package(folder: Path) -> TrainedModel:
    """Return the trained CoroNet of the package in `folder`.

    Raises DataError for invalid metadata and for missing or unexpected files; WeightsError for a file that differs from
    its digest, and for weights that do not fit the networks.
    """
    description = read_description(folder)
    _check_names(folder, description)
    contents = {name: _read(folder / name, entry) for name, entry in description.files.items()}
    settings = description.settings
    _check_contents(contents, settings)
    return TrainedModel(
        image_size_px=settings.image_size_px,
        aspect=settings.aspect,
        residuals=settings.residuals,
        cin_input=settings.cin_input,
        batch_size=settings.batch_size,
        reading=settings.reading,
        residual_scale=contents.get(SCALE),
        autoencoders={label: contents[name] for label, name in AUTOENCODERS.items()},
        cin=contents[CIN],
        calibration=description.calibration,
    )


def _weights(model: TrainedModel) -> dict[str, bytes]:
    return (
        {name: model.autoencoders[label] for label, name in AUTOENCODERS.items()}
        | {CIN: model.cin}
        | ({} if model.residual_scale is None else {SCALE: model.residual_scale})
    )


def _check_contents(contents: Mapping[str, bytes], settings: Settings) -> None:
    for name in (*AUTOENCODERS.values(), CIN):
        check_weights(name, contents[name], settings.cin_input)
    if SCALE in files_described(settings):
        if SCALE not in contents:
            raise DataError(f"{SCALE}: missing, but residuals.scale is {settings.residuals.scale}. {REMEDY}")
        scale_of_file(contents[SCALE], settings.image_size_px)


def _entry(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _check_names(folder: Path, description: Description) -> None:
    names = files_described(description.settings)
    if wrong := sorted(description.files.keys() ^ set(names)):
        raise DataError(f"{folder / DESCRIPTION}: files must be {', '.join(names)}; wrong: {wrong[0]}. {REMEDY}")
    found = {path.name for path in folder.iterdir()}
    if unexpected := sorted(found - {DESCRIPTION, *names}):
        raise DataError(f"{folder / unexpected[0]}: not a file of a package. Move it elsewhere.")
    if missing := sorted(set(names) - found):
        raise DataError(f"{folder / missing[0]}: missing. {REMEDY}")


def _read(path: Path, entry: FileEntry) -> bytes:
    """Return the content of a file that must match `entry`; its size is checked before it is read."""
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path}: not a regular file. {REMEDY}")
    if (size := path.stat().st_size) != entry.size_bytes:
        raise WeightsError(f"{path}: {size} bytes, expected {entry.size_bytes}: truncated or replaced. {REMEDY}")
    content = path.read_bytes()
    if _entry(content) != entry:
        raise WeightsError(f"{path}: its SHA-256 differs from that in {DESCRIPTION}. {REMEDY}")
    return content
