"""The lineage of a version in its tags: data, params, code, runs, figures, and the commit of a published run."""

import hashlib
import json
import math
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coronet_core.common.literals import PRECISION_KEY
from coronet_core.support.errors import DataError
from tasks.package.metadata import Lineage, package_digest, read_description
from tasks.registry.versions import Version, all_versions, registry, tag_version
from tasks.runtime.files import json_object
from tasks.runtime.paths import CIN_WEIGHTS, METRICS, REPORT, SPLIT, SPLIT_STAGE, autoencoder_weights
from tasks.runtime.safe_text.identifiers import RUN_ID, matching
from tasks.runtime.tracking.mlflow_delivery import deliver_leftovers, shown_tracking_uri, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DVC_TAG: Final = "dvc."
RUN_TAG: Final = "run."
METRIC_TAG: Final = "metric."
COMMIT_TAG: Final = "git.commit"
DIRTY_TAG: Final = "git.dirty"
PARENT_TAG: Final = "mlflow.parentRunId"
PARAMS_TAG: Final = "params.digest"
PUBLISHED_COMMIT: Final = "published.commit"
PUBLISHED_BRANCH: Final = "published.branch"
"""Tags of a run and of its version: the commit that has its `dvc.lock`, and the branch."""
RUNS_BY_OUT: Final = {
    SPLIT_STAGE: SPLIT,
    "train_autoencoder@healthy": autoencoder_weights("healthy"),
    "train_autoencoder@pneumonia": autoencoder_weights("pneumonia"),
    "train_cin": CIN_WEIGHTS,
    "evaluate": METRICS,
    "report": REPORT,
}
"""The stages whose MLflow runs a version names, and the out whose digest identifies the run."""
FIGURES: Final = ("accuracy", "balanced_accuracy", "f1_score", "sensitivity", "ppv", "specificity", "roc_auc", "pr_auc")
"""The metrics that are stored with a version."""
LISTED_FIGURES: Final = {
    "accuracy": "accuracy",
    "roc_auc.macro": "ROC-AUC",
    "sensitivity.covid19": "COVID-19 sensitivity",
    "specificity.covid19": "COVID-19 specificity",
}
"""Those that lists of versions have room for, shares of 1, and their titles."""


def tag_name(name: str) -> str:
    """Return `name` as a valid MLflow tag: `run.train_autoencoder@healthy` gets a dot for the @."""
    return re.sub(r"[^\w. :/-]", "_", name.replace("@", "."), flags=re.ASCII)


def params_digest(params: Mapping[str, Any]) -> str:
    """Return a digest of params that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def lineage_tags(lineage: Lineage) -> dict[str, str]:
    """Return `lineage` as tags."""
    return {
        COMMIT_TAG: lineage.commit,
        DIRTY_TAG: str(lineage.has_local_changes).lower(),
        PARAMS_TAG: params_digest(lineage.params),
        **{f"{PRECISION_KEY}.{network}": found for network, found in lineage.training_precision.items()},
        **{tag_name(f"{DVC_TAG}{path}"): md5 for path, md5 in lineage.data.items()},
    }


def runs_of(lineage: Lineage, client: "MlflowClient") -> "dict[str, Run]":
    """Return, by stage, the last finished MLflow run that made the outs in `lineage`, where there is one."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = {}
    for stage, out in RUNS_BY_OUT.items():
        wanted = f"attributes.run_name = '{stage}' and attributes.status = 'FINISHED'"
        wanted += f" and tags.`{DVC_TAG}{out}` = '{lineage.data.get(str(out), '')}'"
        if runs := client.search_runs(experiments, wanted, max_results=1, order_by=["attributes.end_time DESC"]):
            found[stage] = runs[0]
    return found


def main_run(runs: "Mapping[str, Run]", client: "MlflowClient") -> "Run | None":
    """Return the run that `runs` of stages belong to: that of the whole DAG, or else that of `evaluate`."""
    if (run := runs.get("evaluate")) is None:
        return None
    parent = run.data.tags.get(PARENT_TAG)
    return run if parent is None else client.get_run(parent)


def publication_tags(run: "Run | None") -> dict[str, str]:
    """Return the tags of `run` that say where it was published, none if it was not."""
    tags = {} if run is None else run.data.tags
    return {name: tags[name] for name in (PUBLISHED_COMMIT, PUBLISHED_BRANCH) if name in tags}


def figures_of_run(run: "Run | None") -> dict[str, float]:
    """Return the `FIGURES` of a run of evaluate, including those by class: `sensitivity.covid19`."""
    if run is None:
        return {}
    return {name: value for name, value in run.data.metrics.items() if name.partition(".")[0] in FIGURES}


def listed_figures(version: Version) -> dict[str, float | None]:
    """Return the figures of a version that lists show, by name; None where its tag is missing or no number."""
    return {name: _number(version.tags.get(METRIC_TAG + name)) for name in LISTED_FIGURES}


def _number(text: str | None) -> float | None:
    """Return the number that a tag holds, None if it holds none."""
    try:
        number = float("nan" if text is None else text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def metrics_of(version: Version) -> dict[str, Any]:
    """Return all figures of a version, the `reports/metrics.json` of its run of `evaluate`.

    Raises DataError if the version names no such run, CoroNetError if MLflow does not have the file.
    """
    return json_object(report_of(version, "evaluate", METRICS), METRICS)


def report_of(version: Version, stage: str, report: Path) -> bytes:
    """Return a file from the MLflow run of `stage` of a version.

    Raises DataError if the version names no such run; CoroNetError if MLflow does not have the file.
    """
    from mlflow.artifacts import download_artifacts

    tag = tag_name(f"{RUN_TAG}{stage}")
    if tag not in version.tags:
        raise DataError(f"{version.uri}: names no MLflow run of {stage}, so {report} cannot be found.")
    run_id = matching(RUN_ID, version.tags[tag], f"{version.uri}: tag {tag}")
    with registry(), tempfile.TemporaryDirectory() as folder:
        found = download_artifacts(
            run_id=run_id, artifact_path=str(report), dst_path=folder, tracking_uri=tracking_uri()
        )
        return Path(found).read_bytes()


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


def is_unpublished(package: Path) -> bool:
    """Return whether MLflow has the run that made the package in the folder `package`, and it was not published."""
    lineage = read_description(package).lineage
    with registry() as client:
        run = main_run(runs_of(lineage, client), client)
    return run is not None and not publication_tags(run)


def name_publication(run: PackageRun, commit: str, branch: str) -> None:
    """Have the run and the version name the commit and its branch."""
    tags = {PUBLISHED_COMMIT: commit, PUBLISHED_BRANCH: branch}
    with registry() as client:
        for name, value in tags.items():
            client.set_tag(run.run_id, name, value)
    if run.version is not None:
        tag_version(run.version, tags)
