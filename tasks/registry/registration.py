"""Registering a package: a self-contained MLflow model, and a version with its lineage as tags."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from coronet_core.support.errors import TransientError
from tasks.package.metadata import CARD, DESCRIPTION, Description, package_digest, read_description
from tasks.package.package_folder import read_package
from tasks.registry.model_name import MODEL, PACKAGE_ARTIFACT, READ_PATHS
from tasks.registry.model_requirements import copy_code, requirements, served_file
from tasks.registry.model_signature import input_example, signature
from tasks.registry.version_lineage import (
    METRIC_TAG,
    RUN_TAG,
    RUNS_BY_OUT,
    figures_of_run,
    lineage_tags,
    main_run,
    publication_tags,
    runs_of,
    tag_name,
)
from tasks.registry.versions import (
    CHALLENGER,
    CHAMPION,
    DIGEST_TAG,
    Version,
    all_versions,
    find_version,
    registry,
)
from tasks.runtime.paths import PACKAGE, STATE
from tasks.runtime.progress import log
from tasks.runtime.tracking.mlflow_delivery import MAX_TAG_LENGTH, deliver_leftovers, tracking_uri
from tasks.runtime.tracking.orphaned_runs import end_lost_runs
from tasks.runtime.tracking.stage_run import StageRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_NAME: Final = "register"
LOCK: Final = STATE / "register.lock"
LIMITATIONS: Final = "\n## Limitations"
"""What comes before in the card describes a version on its page."""
MODEL_DESCRIPTION: Final = (
    "CoroNet: two autoencoders and a ResNet-18 that tell COVID-19, other pneumonia and healthy lungs apart on chest "
    "X-rays. Research software, not a medical device. `@champion` is what is in use."
)


def register(package: Path) -> Version:
    """Register the package in the folder `package` as the challenger, and return its version.

    A package that is already registered keeps its version. It becomes the challenger again unless it is the champion.

    Raises DataError or WeightsError for an invalid package, TransientError if MLflow cannot be reached.
    """
    read_package(package)
    digest = package_digest(package)
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCK), registry() as client:
        version = next((one for one in all_versions() if one.digest == digest), None)
        if version is None:
            version = find_version(_new_version(client, package, read_description(package), digest))
        if CHAMPION not in version.aliases:
            client.set_registered_model_alias(MODEL, CHALLENGER, str(version.number))
        return find_version(str(version.number))


def _new_version(client: "MlflowClient", package: Path, description: Description, digest: str) -> str:
    """Log the model, create a version with its tags, and return the version's number."""
    import mlflow

    deliver_leftovers()  # the runs that the version's tags name
    end_lost_runs()
    runs = runs_of(description.lineage, client)
    if missing := [stage for stage in RUNS_BY_OUT if stage not in runs]:
        log(f"warning: MLflow ({tracking_uri()}) has no runs of {', '.join(missing)} that made this package")
    figures = figures_of_run(runs.get("evaluate"))
    tags = {DIGEST_TAG: digest, **lineage_tags(description.lineage)}
    tags |= {tag_name(f"{RUN_TAG}{stage}"): run.info.run_id for stage, run in runs.items()}
    made_by = main_run(runs, client)
    tags |= publication_tags(made_by)
    mlflow.set_tracking_uri(tracking_uri())
    with (
        tempfile.TemporaryDirectory() as folder,
        StageRun(RUN_NAME, {"package": digest}, parent_run_id=None if made_by is None else made_by.info.run_id) as run,
        mlflow.start_run(run_id=_delivered(run), nested=True),
    ):
        mlflow.set_tags(tags)
        card = (package / CARD).read_text(encoding="utf-8")
        own = Path(shutil.copytree(package, Path(folder, PACKAGE.name)))  # the same name in every version
        mlflow.log_metrics(figures)
        for name in (DESCRIPTION, CARD):
            mlflow.log_artifact(str(package / name))
        logged = mlflow.pyfunc.log_model(
            name=MODEL,
            python_model=str(served_file()),
            artifacts={PACKAGE_ARTIFACT: str(own)},
            code_paths=[str(path) for path in copy_code(Path(folder))],
            model_config={READ_PATHS: False},  # must be declared to be settable when loading
            signature=signature(),
            input_example=input_example(),
            pip_requirements=requirements(),
            metadata={"package": digest, "model_card": card},
            registered_model_name=MODEL,
            tags=tags | {f"{METRIC_TAG}{name}": f"{value:.6g}" for name, value in figures.items()},
        )
        number = str(logged.registered_model_version)
        client.update_model_version(MODEL, number, description=card.partition(LIMITATIONS)[0][:MAX_TAG_LENGTH])
        client.update_registered_model(MODEL, description=MODEL_DESCRIPTION)
        return number


def _delivered(run: StageRun) -> str:
    """Send `run` to MLflow and return its id there. Raises TransientError if MLflow does not accept it."""
    run.deliver()
    if run.run_id is None:
        raise TransientError(
            "MLflow did not accept the run of this registration. Try again when the server is available."
        )
    return run.run_id
