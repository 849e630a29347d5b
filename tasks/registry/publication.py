"""The run in MLflow and the registered version that name the commit of a published run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from coronet_core.support.errors import DataError
from tasks.package.metadata import package_digest, read_description
from tasks.registry.version_lineage import PUBLISHED_BRANCH, PUBLISHED_COMMIT, main_run, runs_of
from tasks.registry.versions import Version, all_versions, registry, tag_version
from tasks.runtime.tracking.mlflow_delivery import deliver_leftovers, shown_tracking_uri


@dataclass(frozen=True, kw_only=True)
class PackageRun:
    """The run in MLflow that made a package, and the version that the package is registered as."""

    run_id: str
    date: str
    """When it began, in UTC: 2026-11-28."""
    version: Version | None


def run_of_package(package: Path, run_id: str | None = None) -> PackageRun:
    """Return the run that made the package in the folder `package`, or that with `run_id`, which left it as it was.

    Raises DataError if MLflow has none.
    """
    lineage = read_description(package).lineage
    deliver_leftovers()
    with registry() as client:
        run = main_run(runs_of(lineage, client), client) if run_id is None else client.get_run(run_id)
    if run is None:
        raise DataError(
            f"MLflow ({shown_tracking_uri()}) has no run that made {package}. Set MLFLOW_TRACKING_URI to where it was "
            "tracked, or run the stages again (`dvc repro --force`)."
        )
    digest = package_digest(package)
    return PackageRun(
        run_id=run.info.run_id,
        date=f"{datetime.fromtimestamp(run.info.start_time / 1000, UTC):%Y-%m-%d}",
        version=next((one for one in all_versions() if one.digest == digest), None),
    )


def name_publication(run: PackageRun, commit: str, branch: str) -> None:
    """Have the run and the version name the commit and its branch."""
    tags = {PUBLISHED_COMMIT: commit, PUBLISHED_BRANCH: branch}
    with registry() as client:
        for name, value in tags.items():
            client.set_tag(run.run_id, name, value)
    if run.version is not None:
        tag_version(run.version, tags)
