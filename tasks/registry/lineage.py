"""Where a version comes from, as its tags say it: data, params, code, runs and figures."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tasks.packaging.description import Lineage
from tasks.paths import CIN_WEIGHTS, METRICS, REPORT, SPLIT_STAGE, autoencoder_weights
from tasks.paths import SPLIT as SPLIT_FOLDER

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DVC_TAG: Final = "dvc."
RUN_TAG: Final = "run."
METRIC_TAG: Final = "metric."
COMMIT_TAG: Final = "git.commit"
DIRTY_TAG: Final = "git.dirty"
PARAMS_TAG: Final = "params.digest"
RUNS_BY_OUT: Final = {
    SPLIT_STAGE: SPLIT_FOLDER,
    "train_autoencoder@healthy": autoencoder_weights("healthy"),
    "train_autoencoder@pneumonia": autoencoder_weights("pneumonia"),
    "train_cin": CIN_WEIGHTS,
    "evaluate": METRICS,
    "report": REPORT,
}
"""The stages whose MLflow runs a version names, and the out by whose digest they are found."""
FIGURES: Final = ("accuracy", "balanced_accuracy", "f1_score", "sensitivity", "ppv", "specificity", "roc_auc", "pr_auc")
"""Those of the metrics that a version is told by."""


def params_digest(params: Mapping[str, Any]) -> str:
    """Return a digest of params, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def lineage_tags(lineage: Lineage) -> dict[str, str]:
    """Return what `lineage` says, as tags."""
    return {
        COMMIT_TAG: lineage.commit,
        DIRTY_TAG: str(lineage.has_local_changes).lower(),
        PARAMS_TAG: params_digest(lineage.params),
        **{f"{DVC_TAG}{path}": md5 for path, md5 in lineage.data.items()},
    }


def runs_of(lineage: Lineage, client: "MlflowClient") -> "dict[str, Run]":
    """Return, by stage, the last finished MLflow run that made what `lineage` names, as far as there is one."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = {}
    for stage, out in RUNS_BY_OUT.items():
        wanted = f"attributes.run_name = '{stage}' and attributes.status = 'FINISHED'"
        wanted += f" and tags.`{DVC_TAG}{out}` = '{lineage.data.get(str(out), '')}'"
        if runs := client.search_runs(experiments, wanted, max_results=1, order_by=["attributes.end_time DESC"]):
            found[stage] = runs[0]
    return found


def figures_of_run(run: "Run | None") -> dict[str, float]:
    """Return the `FIGURES` of a run of evaluate, with those by class: `sensitivity.covid19`."""
    if run is None:
        return {}
    return {name: value for name, value in run.data.metrics.items() if name.partition(".")[0] in FIGURES}
