"""The flow `drift`: the last days' logged predictions against the validation images, on Prefect's page."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.final_states import DRIFT_FOUND, failed
from flows.monitoring.run_names import called
from flows.monitoring.start_retrain import start_retrain
from flows.monitoring.webhook import AT_ITS_END
from tasks.drift.drift_check import Rule, check, rows_of
from tasks.drift.prediction_window import Span


@flow(name="drift", flow_run_name=called("drift in {log}, {days} days"), **AT_ITS_END)
def watch_drift(
    log: str,
    days: int = 7,
    model: str | None = None,
    level: float = Rule.level,
    min_psi: float = Rule.min_psi,
    min_images: int = Rule.min_images,
    retrain: bool = False,  # noqa: FBT001, FBT002  # a parameter on Prefect's form
) -> State[None]:
    """Compare the predictions of the last days with the images that the model was validated on.

    Args:
        log: The folder that predictions were logged to.
        days: Days of predictions to check, counted back from now.
        model: A package folder or a registered version; by default the project's last run.
        level: Largest accepted probability of a false alarm, above 0 and below 1.
        min_psi: Smallest population stability index (PSI) that counts as drift.
        min_images: Minimum number of images in the window; with fewer the run fails and says so.
        retrain: If there is drift, start the deployment retrain, once per model.
    """
    try:
        rule = Rule(level=level, min_psi=min_psi, min_images=min_images)
        drift = check(Path(log), Span.last(days), model, rule)
        create_table_artifact(rows_of(drift), key="drift", description=drift.verdict)
    except CoroNetError as error:
        return failed(error)
    if not drift.drifted:
        return Completed(message=drift.verdict)
    return Completed(name=DRIFT_FOUND, message=f"{drift.verdict}{_started(drift.model) if retrain else ''}")


def _started(model: str) -> str:
    """Start a retrain; returns what follows the verdict: the drift that was found counts in either case."""
    try:
        return f"; retrain: {start_retrain(model)}"
    except CoroNetError as error:
        return f"; no retrain was started: {error}"
