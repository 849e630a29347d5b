"""Starting the deployment `retrain` from elsewhere: by its name, or by an event that an automation answers."""

from datetime import UTC, datetime, timedelta
from typing import Final, cast

import httpx
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.deployments import run_deployment
from prefect.events import Event, Resource
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for
from prefect.variables import Variable

from coronet_core.support.errors import CoroNetError, TransientError

DEPLOYMENT: Final = "retrain/retrain"
REASON: Final = "drift"
"""What the names of runs begin with that drift has started."""
SOON: Final = timedelta(minutes=1)
IMAGES_ARRIVED: Final = "coronet.images.arrived"
"""The event for which an automation starts a retrain; whoever else knows of new images may send it, too."""
SOURCES: Final = "coronet.images"
"""The resource of that event."""
ANNOUNCED: Final = "coronet_images_announced"
"""The variable on the server: for which split a retrain was started last, and how many new images there were."""


def require_server() -> None:
    """Raise CoroNetError unless a Prefect server is set: a retrain that a temporary one starts would end with it."""
    if not PREFECT_API_URL.value():
        raise CoroNetError(
            "no Prefect server to start a retrain: set PREFECT_API_URL, such as http://127.0.0.1:4200/api (`coronet "
            "up` starts one)."
        )


def start_retrain(model_digest: str) -> str:
    """Start the deployment's retrain because of what the model has met; returns the flow run's address on the page.

    A model starts one: asked again, it is the same run, however often drift is found until there is another model.
    Raises CoroNetError without a deployment, TransientError when the server does not answer.
    """
    require_server()
    try:
        run = cast(
            "FlowRun",  # typed for async too
            run_deployment(
                DEPLOYMENT,
                parameters={"reason": REASON},
                flow_run_name=REASON,
                timeout=0,
                as_subflow=False,
                tags=["drift"],
                idempotency_key=f"drift-{model_digest}",
            ),
        )
    except ObjectNotFound as error:
        raise _no_deployment() from error
    except httpx.HTTPError as error:
        raise TransientError(f"{PREFECT_API_URL.value()}: Prefect's server does not answer ({error}).") from error
    return url_for(run) or run.name


def retrain_under_way() -> str | None:
    """Return the name of a run of the deployment that has not ended, or is due; None if there is none.

    Raises CoroNetError without a deployment.
    """
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound as error:
            raise _no_deployment() from error
        soon = datetime.now(UTC) + SOON  # runs of a schedule are there days before
        wanted = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=list(TERMINAL_STATES))),
            expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"before_": soon}),
        )
        runs = client.read_flow_runs(flow_run_filter=wanted, limit=1)
    return runs[0].name if runs else None


def announce_images(n_images: int, reason: str) -> None:
    """Send the event for which the automation starts a retrain; `reason` becomes part of the name of its run."""
    event = Event(
        event=IMAGES_ARRIVED,
        resource=Resource({"prefect.resource.id": SOURCES}),
        payload={"images": n_images, "reason": reason},
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])


def n_announced(split: str | None) -> int:
    """Return for how many images beside those of `split`, DVC's digest of it, a retrain was started already."""
    known = cast("dict[str, object]", Variable.get(ANNOUNCED, default={}))
    n_images = known.get("images") if known.get("split") == split else 0
    return n_images if isinstance(n_images, int) else 0


def note_announced(split: str | None, n_images: int) -> None:
    """Note that a retrain was started for so many images beside those of `split`."""
    Variable.set(ANNOUNCED, {"split": split, "images": n_images}, overwrite=True)


def _no_deployment() -> CoroNetError:
    return CoroNetError(f"{DEPLOYMENT}: no such deployment on this server. Type `coronet deploy`.")
