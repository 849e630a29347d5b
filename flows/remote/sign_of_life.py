"""A sign of life of a stage on another host: an artifact of its flow run, renewed as long as its process lives.

A host that loses its power cannot say so, and Prefect goes on showing its flow run as running. Who ordered the stage
takes a sign that is not renewed for the end of it.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final
from uuid import UUID

import httpx
from prefect import get_client
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey

SIGN_KEY: Final = "sign-of-life"
PERIOD_S: Final = 20.0


@contextlib.contextmanager
def sign_of_life(text: str) -> Iterator[None]:
    """Show `text` (Markdown) as an artifact of the flow run in which this is called, and renew it until the end."""
    sign = create_markdown_artifact(text, key=SIGN_KEY, description="Renewed while the stage's process lives")
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(UUID(str(sign)), text, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def latest_sign(client: SyncPrefectClient, flow_run_id: UUID) -> str | None:
    """Return when the sign of a flow run was renewed, as the server has it; None if there is none."""
    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]), key=ArtifactFilterKey(any_=[SIGN_KEY])
    )
    found = client.read_artifacts(artifact_filter=wanted)
    return str(found[0].updated) if found else None


def _renew(sign: UUID, text: str, ended: threading.Event) -> None:
    while not ended.wait(PERIOD_S):
        with contextlib.suppress(httpx.HTTPError), get_client(sync_client=True) as client:  # a server may be away
            client.update_artifact(sign, ArtifactUpdate(data=text))
