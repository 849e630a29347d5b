"""Starting the deployment `retrain` from elsewhere."""

from typing import Final, cast

import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from coronet_core.support.errors import CoroNetError, TransientError

DEPLOYMENT: Final = "retrain/retrain"


def require_server() -> None:
    """Raise CoroNetError unless a Prefect server is set: a retrain that a temporary one starts would end with it."""
    if not PREFECT_API_URL.value():
        raise CoroNetError(
            "no Prefect server to start a retrain: set PREFECT_API_URL, such as http://127.0.0.1:4200/api (`coronet "
            "up` starts one)."
        )


def start_retrain(model_digest: str) -> str:
    """Start the deployment's retrain because of what the model has met; returns the flow run's name.

    A model starts one: asked again, it is the same run, however often drift is found until there is another model.
    Raises CoroNetError without a deployment, TransientError when the server does not answer.
    """
    require_server()
    try:
        run = cast(
            "FlowRun",  # typed for async too
            run_deployment(
                DEPLOYMENT, timeout=0, as_subflow=False, tags=["drift"], idempotency_key=f"drift-{model_digest}"
            ),
        )
    except ObjectNotFound as error:
        raise CoroNetError(f"{DEPLOYMENT}: no such deployment on this server. Type `coronet deploy`.") from error
    except httpx.HTTPError as error:
        raise TransientError(f"{PREFECT_API_URL.value()}: Prefect's server does not answer ({error}).") from error
    return run.name
