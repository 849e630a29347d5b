"""A store with two packages, one of them registered twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.package.package_folder import write_package
from tasks.registry.registration import register
from tasks.registry.versions import Version
from tests.tasks.trained_model import CARD, some_lineage, untrained_model


@dataclass
class Registered:
    """A store with two packages, the first of which was registered twice."""

    store: str
    packages: tuple[Path, Path]
    first: Version
    again: Version
    second: Version


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    folder = tmp_path_factory.mktemp("registry")
    store = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", store)
        model = untrained_model()
        packages = (folder / "one", folder / "other")
        write_package(packages[0], model, CARD, some_lineage())
        write_package(packages[1], replace(model, batch_size=3), CARD, some_lineage())
        yield Registered(store, packages, register(packages[0]), register(packages[0]), register(packages[1]))


def stored_package(registered: Registered, version: Version) -> Path:
    """Where the store keeps the package of a version."""
    source = MlflowClient(registered.store).get_model_version_download_uri("coronet", str(version.number))
    return Path(source.removeprefix("file://")) / "artifacts" / "coronet"
