"""Loading the model for predictions: from the project's last run, a package, or the registry."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from coronet_core.support.errors import DataError, ParamsError
from tasks.package.dvc_lock import Lock, model_of_last_run
from tasks.package.metadata import CARD, read_description
from tasks.package.trained_model import TrainedModel
from tasks.runtime.paths import MODEL_CARD

Section = TypeVar("Section")

REGISTRY_SCHEME: Final = "models:/"
ALLOWED: Final = (
    "the folder of a package, or a registered version such as models:/coronet@champion or models:/coronet/3"
)


def load_model(source: str | None) -> TrainedModel:
    """Return the model at `source`: a package's folder, `models:/...`, or None for the project's last run.

    Raises DataError if there is none, WeightsError or DataError if its files do not belong together.
    """
    if source is None:
        return model_of_last_run(Path())
    from tasks.package.package_folder import read_package  # late: torch takes two seconds

    return read_package(package_folder(source))


def model_card(source: str | None) -> str:
    """Return the model card of the model at `source`, Markdown; empty if it has none."""
    path = MODEL_CARD if source is None else package_folder(source) / CARD
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def params_of_run(source: str | None) -> dict[str, Any]:
    """Return the params, by section, of the stages of the run that made the model of `source`."""
    return Lock(Path()).all_params() if source is None else read_description(package_folder(source)).lineage.params


def section_of(params: Mapping[str, Any], name: str, schema: type[Section], remedy: str) -> Section | None:
    """Return the section `name` of the params of a run, by its dataclass; None if its stage has not run.

    Raises ParamsError, which ends in `remedy`, for a section that another version of CoroNet has written.
    """
    if name not in params:
        return None
    try:
        return TypeAdapter(schema).validate_json(json.dumps(params[name]))
    except ValidationError as error:
        raise ParamsError(
            f"the run that trained the model has a section {name} of another version of CoroNet. {remedy}"
        ) from error


def package_folder(source: str) -> Path:
    """Return the folder of the package at `source`; a registered package is downloaded once."""
    if source.startswith(REGISTRY_SCHEME):
        from tasks.registry.fetching import fetch  # late: MLflow takes a while
        from tasks.registry.versions import find_version

        return fetch(find_version(source))
    return local_package(source)


def local_package(source: str, option: str = "model") -> Path:
    """Return the folder `source`, the value of `option`. Raises DataError if it does not exist."""
    if not Path(source).is_dir():
        raise DataError(f"{option} = {source}: no such folder. Allowed: {ALLOWED}.")
    return Path(source)
