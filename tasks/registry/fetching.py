"""Fetching a version's package from the registry: downloaded once, checked each time, never executed."""

import shutil
from pathlib import Path
from typing import Final

from filelock import FileLock

from coronet_core.data.file_names import file_name
from coronet_core.support.errors import CoroNetError, WeightsError
from tasks.package.metadata import package_digest
from tasks.package.package_folder import read_package
from tasks.registry.signatures import check_signature
from tasks.registry.versions import Version, registry
from tasks.runtime.files import publish_folder
from tasks.runtime.paths import PACKAGE, STATE
from tasks.runtime.tracking.mlflow_delivery import tracking_uri

FETCHED: Final = STATE / "packages"


def fetch(version: Version) -> Path:
    """Return the folder of the package of `version`, `.coronet/packages/<digest>`.

    Raises WeightsError or DataError if the registry's artifacts are not the registered package, DataError if the
    signature that a public key asks for is missing or wrong, TransientError if the registry cannot be reached.
    """
    check_signature(version)
    folder = FETCHED / file_name(version.digest, f"{version.uri}: digest")
    FETCHED.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if folder.is_dir():
            try:
                _check(folder, version)
            except CoroNetError:  # the local copy is damaged: download it again
                shutil.rmtree(folder)
            else:
                return folder
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        found = _download(version, partial)
        _check(found, version)
        publish_folder(found, folder, folder.with_suffix(".former"))
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _download(version: Version, target: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    target.mkdir(parents=True)
    with registry():
        address = f"{version.uri}/artifacts/{PACKAGE.name}"
        return Path(download_artifacts(address, dst_path=str(target), tracking_uri=tracking_uri()))


def _check(folder: Path, version: Version) -> None:
    read_package(folder)
    if package_digest(folder) != version.digest:
        raise WeightsError(
            f"{version.uri}: the registry's artifacts differ from the registered package "
            f"({version.digest[:12]}). Register the package again, and find out who changed them."
        )
