"""Writing and reading the package of a trained CoroNet.

A package is read as a whole or not at all: the files must be those that its description lists, byte by byte, and the
weights those of the networks that it names. Nothing in it is executed.
"""

import hashlib
import shutil
from pathlib import Path

from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import DataError, WeightsError
from tasks.package.metadata import (
    AUTOENCODERS,
    CARD,
    CIN,
    DESCRIBED,
    DESCRIPTION,
    FORMAT_VERSION,
    REMEDY,
    Description,
    FileEntry,
    Lineage,
    Settings,
    description_bytes,
    read_description,
)
from tasks.package.trained_model import TrainedModel
from tasks.package.weight_files import check_weights
from tasks.runtime.files import publish_folder


def write_package(folder: Path, model: TrainedModel, card: str, lineage: Lineage) -> None:
    """Write the package of `model` to `folder`, whole; a package that is there is replaced.

    The same model, card and lineage give the same bytes. Raises WeightsError for weights that no reader would take.
    """
    contents = _weights(model) | {CARD: card.encode()}
    for name in (*AUTOENCODERS.values(), CIN):
        check_weights(name, contents[name], model.cin_input)
    description = Description(
        format_version=FORMAT_VERSION,
        classes=list(CLASSES),
        settings=Settings(
            image_size_px=model.image_size_px,
            aspect=model.aspect,
            residuals=model.residuals,
            cin_input=model.cin_input,
            batch_size=model.batch_size,
            reading=model.reading,
        ),
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

    Raises DataError for a description that is not sound, for a missing or an unexpected file; WeightsError for a file
    that is not the one described, and for weights that are not the networks'.
    """
    description = read_description(folder)
    _check_names(folder, description)
    contents = {name: _read(folder / name, entry) for name, entry in description.files.items()}
    settings = description.settings
    for name in (*AUTOENCODERS.values(), CIN):
        check_weights(name, contents[name], settings.cin_input)
    return TrainedModel(
        image_size_px=settings.image_size_px,
        aspect=settings.aspect,
        residuals=settings.residuals,
        cin_input=settings.cin_input,
        batch_size=settings.batch_size,
        reading=settings.reading,
        autoencoders={label: contents[name] for label, name in AUTOENCODERS.items()},
        cin=contents[CIN],
        calibration=description.calibration,
    )


def _weights(model: TrainedModel) -> dict[str, bytes]:
    return {name: model.autoencoders[label] for label, name in AUTOENCODERS.items()} | {CIN: model.cin}


def _entry(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _check_names(folder: Path, description: Description) -> None:
    if wrong := sorted(description.files.keys() ^ set(DESCRIBED)):
        raise DataError(f"{folder / DESCRIPTION}: files are {', '.join(DESCRIBED)}, but for {wrong[0]}. {REMEDY}")
    found = {path.name for path in folder.iterdir()}
    if unexpected := sorted(found - {DESCRIPTION, *DESCRIBED}):
        raise DataError(f"{folder / unexpected[0]}: no file of a package. Move it away.")
    if missing := sorted(set(DESCRIBED) - found):
        raise DataError(f"{folder / missing[0]}: not there. {REMEDY}")


def _read(path: Path, entry: FileEntry) -> bytes:
    """Return the content of a file that must be the described one; its size is looked at before it is read."""
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path}: not a plain file. {REMEDY}")
    if (size := path.stat().st_size) != entry.size_bytes:
        raise WeightsError(f"{path}: {size} bytes, not {entry.size_bytes}: truncated or replaced. {REMEDY}")
    content = path.read_bytes()
    if _entry(content) != entry:
        raise WeightsError(f"{path}: not the file that {DESCRIPTION} describes (SHA-256). {REMEDY}")
    return content
