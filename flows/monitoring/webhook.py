"""Notifying a webhook of the end of a flow run."""

import os
from typing import Any, Final

import httpx
from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_run_logger

from tasks.runtime.safe_text.markdown import plain

WEBHOOK_VARIABLE: Final = "CORONET_WEBHOOK_URL"
"""Environment variable with the address that receives a summary when a flow run has ended. It may hold a secret."""
TIMEOUT_S: Final = 10.0


def notify_webhook(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """POST the end of `flow_run` as JSON to the webhook, if one is set; a hook of flows.

    Its `text` is a line to read, which chat services show. A webhook that does not take it never fails a run.
    """
    if url := os.environ.get(WEBHOOK_VARIABLE):
        try:
            httpx.post(url, json=_summary(flow, flow_run, state), timeout=TIMEOUT_S).raise_for_status()
        except httpx.HTTPError as error:
            get_run_logger().warning(f"the webhook did not take the summary ({type(error).__name__})")


AT_ITS_END: Final[dict[str, Any]] = {
    hook: [notify_webhook] for hook in ("on_completion", "on_failure", "on_cancellation")
}
"""Hooks of a flow that tells the webhook how it ended; a crashed one cannot: an automation of the server does."""


def _summary(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> dict[str, Any]:
    parts = [f"{flow.name} ({flow_run.name}): {state.name}", state.message or ""]
    return {
        "text": plain("; ".join(part for part in parts if part)),
        "flow": flow.name,
        "flow_run": flow_run.name,
        "flow_run_id": str(flow_run.id),
        "state": state.type.value,
        "message": state.message,
    }
