"""Delivery of run records to MLflow, the only place of the stages that talks to it.

`MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` choose the server and the experiment, as they do for MLflow itself;
without them it is SQLite in the project's folder. MLflow is imported late: that takes seconds.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from coronet_core.common.classes import SplitName
from coronet_core.support.credentials import first_words, without_credentials
from tasks.runtime.files import digest
from tasks.runtime.progress import log
from tasks.runtime.tracking.run_record import Event, RunRecord, all_records
from tasks.runtime.tracking.store_location import ARTIFACTS, STORE, repair_locations
from tasks.runtime.tracking.temporary_folders import project_of_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DEFAULT_TRACKING_URI = f"{SQLITE}{STORE}"
DEFAULT_EXPERIMENT = "coronet"
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it has the credentials that the server's address has
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is down must not hold up training
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ALEMBIC_LOG_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": str(sys.stderr.isatty()).lower(),
}
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # the view for training, not that for language models
    "mlflow.note.content": "CoroNet: COVID-19, other pneumonia and healthy lungs on chest X-rays. Each run of the DAG "
    "has its figures on the test split with intervals, the report and the model card; its stages are nested in it.",
}
ARTIFACTS_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""Where a new store's artifacts go; the default is the current folder's."""
CONTEXTS: Final[dict[SplitName, str]] = {"train": "training", "validation": "validation", "test": "evaluation"}
"""What MLflow calls the use of each split."""
RECORD_TAG = "coronet.record"
"""Tag of a run in MLflow: the key of the record that it was made of."""
RESUMES_TAG = "coronet.resumes"
"""Tag of a run in MLflow: the killed or failed run that this one resumes."""
MAX_TAG_LENGTH = 5000
REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST")
BATCH = 100
"""Params or tags that MLflow takes in one call."""


class RunRefusedError(Exception):
    """MLflow will never take this run, whatever is tried."""


def tracking_uri() -> str:
    """Return where runs are tracked."""
    project = project_of_experiment()
    default = DEFAULT_TRACKING_URI if project is None else f"{SQLITE}{project / STORE}"
    return os.environ.get("MLFLOW_TRACKING_URI", default)


def shown_tracking_uri() -> str:
    """Return where runs are tracked, as people may be shown it: without credentials."""
    return without_credentials(tracking_uri())


def page_of_run(run_id: str) -> str | None:
    """Return the address of a run on MLflow's page; None if runs are tracked without a server, or it is away."""
    uri = tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return None
    try:
        experiment_id = mlflow_client().get_run(run_id).info.experiment_id
    except Exception:  # noqa: BLE001  # whatever a client library raises, a missing link must not fail a run
        return None
    return f"{without_credentials(uri).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def absolute_tracking_uri() -> str:
    """Return the same for a stage that runs in another folder: a relative SQLite path means this one."""
    uri = tracking_uri()
    return SQLITE + str(Path(uri.removeprefix(SQLITE)).resolve()) if uri.startswith(SQLITE) else uri


def deliver(record: RunRecord) -> bool:
    """Send the events that MLflow has not received. False if it cannot be reached; then they stay for later."""
    try:
        with FileLock(record.folder / "delivery.lock", timeout=0):
            events = record.events()
            if not events:  # another process has delivered all of it since
                record.delete()
                return True
            for place in range(record.n_sent, len(events)):
                _send_or_drop(record, events[place])
                record.set_sent(place + 1)
    except Timeout:  # another process is delivering this record
        return True
    except RunRefusedError as error:
        if record.is_ended:
            log(f"MLflow rejects the run ({error}); its record is dropped.")
            record.delete()
        return True
    except Exception as error:  # noqa: BLE001  # whatever a client library raises, it must not stop a stage
        reason = first_words(error, 200)
        log(f"MLflow cannot be reached ({type(error).__name__}: {reason}). The run's record is kept and sent later.")
        return False
    if any(event["kind"] == "end" for event in events):
        record.delete()
    return True


def deliver_all() -> bool:
    """Send what has been recorded so far by the runs of all processes. False if MLflow cannot be reached."""
    return all(deliver(record) for record in all_records())


def deliver_leftovers() -> None:
    """Send what earlier runs could not send, and end the runs of killed processes."""
    for record in all_records():
        record.close_if_abandoned()
        if record.is_ended and not deliver(record):
            return  # the server is down: nor would it take the others


def _send_or_drop(record: RunRecord, event: Event) -> None:
    """Send an event; one that MLflow will never take must not hold up those behind it."""
    from mlflow.exceptions import MlflowException

    try:
        _send(record, event)
    except MlflowException as error:
        if error.error_code not in REFUSALS:
            raise
        reason = first_words(error, 200)
        if event["kind"] == "start":
            raise RunRefusedError(reason) from error
        log(f"MLflow rejects a record of kind {event['kind']} ({reason}); it is skipped.")


def _send(record: RunRecord, event: Event) -> None:
    from mlflow.entities import Metric, RunTag

    client = mlflow_client()
    if event["kind"] == "start":
        _send_start(client, record, event)
        return
    run_id = record.run_id
    if run_id is None:
        raise RuntimeError("MLflow has not received the start of this run")
    match event["kind"]:
        case "metrics":
            metrics = [Metric(name, value, event["time_ms"], event["step"]) for name, value in event["values"].items()]
            client.log_batch(run_id, metrics=metrics)
        case "tags":
            tags = [RunTag(name, value[:MAX_TAG_LENGTH]) for name, value in event["values"].items()]
            for start in range(0, len(tags), BATCH):
                client.log_batch(run_id, tags=tags[start : start + BATCH])
        case "artifact":
            folder = Path(event["file"]).parent
            client.log_artifact(run_id, str(record.kept(event["file"])), str(folder) if folder.name else None)
        case "dataset":
            here = Path(event["file"]).absolute().as_uri()  # former records have no address
            _send_dataset(client, run_id, record.kept(event["file"]), event.get("address", here))
        case "name":
            client.update_run(run_id, name=event["name"])
        case "end":
            client.set_terminated(run_id, event["status"], event["time_ms"])


def mlflow_client() -> "MlflowClient":
    """Return a client of where runs are tracked, which gives up soon if no server responds.

    The project's own store names this folder then, wherever the project was before. Raises TransientError if it cannot.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if (project := project_of_experiment()) is not None:
        os.environ.setdefault(ARTIFACTS_VARIABLE, str(project / ARTIFACTS))
    from mlflow import MlflowClient

    repair_own_store()
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tables it creates, traces of what is raised
    return MlflowClient(tracking_uri())


def repair_own_store() -> None:
    """Correct the locations in the project's own store, if runs are tracked there (`store_location`)."""
    if tracking_uri() == DEFAULT_TRACKING_URI:
        repair_locations()


def experiment_id(client: "MlflowClient") -> str:
    """Return the id of the experiment that runs belong to, made where there is none yet."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, tags=EXPERIMENT_TAGS))
    for key, value in EXPERIMENT_TAGS.items():
        if key not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)


def _send_start(client: "MlflowClient", record: RunRecord, event: Event) -> None:
    from mlflow.entities import Param

    tags: dict[str, Any] = event["tags"]
    parent_run_id = _parent_run_id(client, event)
    if parent_run_id is not None:
        tags = tags | {"mlflow.parentRunId": parent_run_id}
    if (resumed := record.resumes) is not None and (resumed_run_id := _delivered_run_id(resumed)) is not None:
        tags = tags | {RESUMES_TAG: resumed_run_id}
    run_id = record.run_id  # there, if the connection failed after the run had been created
    if run_id is None:
        experiment = experiment_id(client)
        run_id = _created_unheard(client, experiment, record.key)
        if run_id is None:
            tags = tags | {RECORD_TAG: record.key}
            name = event.get("shown_as", event["name"])
            run_id = client.create_run(experiment, event["time_ms"], tags, run_name=name).info.run_id
        record.set_run_id(run_id)
    params = [Param(key, text) for key, text in event["params"].items()]
    for start in range(0, len(params), BATCH):
        client.log_batch(run_id, params=params[start : start + BATCH])


def _created_unheard(client: "MlflowClient", experiment: str, key: str) -> str | None:
    """Return the run that a server made of this record before, when it was gone before it could say so."""
    found = client.search_runs([experiment], f"tags.`{RECORD_TAG}` = '{key}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def _parent_run_id(client: "MlflowClient", event: Event) -> str | None:
    """Return MLflow's id of the run to nest this one under; a run of another host's store is none of this one's."""
    from mlflow.exceptions import MlflowException

    if (run_id := event.get("parent_run_id")) is not None:
        try:
            return str(client.get_run(run_id).info.run_id)
        except MlflowException as error:
            if error.error_code not in REFUSALS:
                raise
            return None
    if event["parent"] is None:
        return None
    return _delivered_run_id(RunRecord(event["parent"]))


def _delivered_run_id(record: RunRecord) -> str | None:
    """Return MLflow's id of another run, which is delivered first if need be."""
    if record.run_id is None:
        deliver(record)
    return record.run_id


def _send_dataset(client: "MlflowClient", run_id: str, manifest: Path, address: str) -> None:
    import pandas as pd
    from mlflow.entities import Dataset, DatasetInput, InputTag

    table = pd.read_parquet(manifest, columns=["label", "split"])
    inputs = []
    for split, context in CONTEXTS.items():
        labels = table.loc[table["split"] == split, "label"]
        dataset = Dataset(
            name=split,
            digest=digest(manifest)[:16],
            source_type="local" if address.startswith("file:") else address.partition(":")[0],
            source=json.dumps({"uri": address}),
            profile=json.dumps({"images": len(labels), **labels.value_counts().to_dict()}),
        )
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    client.log_inputs(run_id, inputs)
