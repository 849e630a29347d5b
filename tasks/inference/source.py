"""Where the model comes from that answers: the project's last run, a package, or the registry."""

from pathlib import Path
from typing import Final

from coronet_core.errors import DataError
from tasks.inference.model import TrainedModel

REGISTRY_SCHEME: Final = "models:/"
ALLOWED: Final = "a folder of a package, or a registered version such as models:/coronet@champion or models:/coronet/3"


def load_model(source: str | None) -> TrainedModel:
    """Return the model that `source` names: a package's folder, `models:/...`, or without one the project's last run.

    Raises DataError when there is none, or its files do not belong together.
    """
    if source is None:
        return TrainedModel.of_project(Path())
    if source.startswith(REGISTRY_SCHEME):
        raise DataError(f"model = {source}: this version has no registry. Leave it out for the project's last run.")
    if Path(source).is_dir():
        raise DataError(f"model = {source}: this version reads no packages. Leave it out for the project's last run.")
    raise DataError(f"model = {source}: no such folder. Allowed: {ALLOWED}.")
