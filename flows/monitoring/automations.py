"""Automations on Prefect's server: end runs that are lost, start a retrain for new images, notify the webhook.

They are the one detector of lost runs, on this host and on others: whoever waits for a run goes by its state.
"""

import os
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect import get_client
from prefect.automations import (
    Automation,
    AutomationCore,
    CancelFlowRun,
    ChangeFlowRunState,
    EventTrigger,
    Posture,
    ResourceSpecification,
    RunDeployment,
    SendNotification,
)
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict

from flows.monitoring import final_states
from flows.monitoring.start_retrain import DEPLOYMENT, IMAGES_ARRIVED, SOURCES
from flows.monitoring.webhook import WEBHOOK_VARIABLE
from flows.monitoring.work_pool import TAG

HEARTBEAT: Final = "prefect.flow-run.heartbeat"
"""Sent by every run that a worker has started, as often as `prefect.yaml` says."""
ENDS: Final = {f"prefect.flow-run.{name}" for name in final_states.PREFECTS | final_states.OURS}
IMAGES: Final = "CoroNet: new images start a retrain"
SUSPENDED: Final = "prefect.flow-run.Suspended"
"""A run without a process, until a person has answered: it is neither lost nor hung."""
SILENT: Final = "CoroNet: a run whose process is gone has crashed"
SILENCE: Final = timedelta(seconds=120)
LONGEST_START: Final = timedelta(minutes=5)
LONGEST_RUN: Final = timedelta(hours=48)
WEBHOOK_BLOCK: Final = "coronet-webhook"
SUBJECT: Final = "CoroNet: {{ flow.name }} ({{ flow_run.name }}) has crashed"
BODY: Final = "{{ flow_run.state.message }} The next run resumes where it stopped."


def install_automations() -> None:
    """Create the automations that the server does not have.

    Those that it has stay as somebody may have set them, but know every event by its name of today, and start a
    deployment that is there.
    """
    with get_client(sync_client=True) as client:
        known = {automation.name: automation for automation in client.read_automations()}
        for automation in _automations():
            if (present := known.get(automation.name)) is None:
                client.create_automation(_stated(automation))
            elif (current := _brought_up_to_date(present, automation, client)) != present:
                client.update_automation(present.id, _stated(current))


def has_crash_detection() -> bool:
    """Whether the server in force marks a run as crashed whose process is gone: the automation is there, and on."""
    return _is_on(SILENT)


def answers_new_images() -> bool:
    """Whether the server in force starts a retrain for the event of new images: the automation is there, and on."""
    return _is_on(IMAGES)


def _is_on(name: str) -> bool:
    with get_client(sync_client=True) as client:
        return any(automation.enabled for automation in client.read_automations_by_name(name))


def _brought_up_to_date(present: AutomationCore, stated: Automation, client: SyncPrefectClient) -> AutomationCore:
    current = present.model_copy(deep=True)
    if isinstance(current.trigger, EventTrigger) and isinstance(stated.trigger, EventTrigger):
        current.trigger.expect |= stated.trigger.expect
    (action,) = stated.actions
    for one in current.actions:
        if isinstance(one, RunDeployment) and isinstance(action, RunDeployment) and _is_gone(one.deployment_id, client):
            one.deployment_id = action.deployment_id
    return current


def _is_gone(deployment_id: UUID | None, client: SyncPrefectClient) -> bool:
    """Whether the server does not know the deployment: it was deleted, and may have been made anew."""
    if deployment_id is None:
        return False
    try:
        client.read_deployment(deployment_id)
    except ObjectNotFound:
        return True
    return False


def _automations() -> list[Automation]:
    silent = Automation(
        name=SILENT,
        description=f"No heartbeat for {SILENCE.total_seconds():.0f} s: killed with its worker, or its host is away.",
        trigger=_trigger({HEARTBEAT}, {HEARTBEAT, SUSPENDED} | ENDS, SILENCE),
        actions=[_crash("No heartbeat from its process.")],
    )
    not_begun = Automation(
        name="CoroNet: a run that does not begin has crashed",
        description=f"Not started {LONGEST_START.total_seconds() / 60:.0f} minutes after a worker took it.",
        trigger=_trigger({"prefect.flow-run.Pending"}, {"prefect.flow-run.Running"} | ENDS, LONGEST_START),
        actions=[_crash("Taken by a worker, but not started.")],
    )
    hung = Automation(
        name="CoroNet: a run that does not end is cancelled",
        description=f"Still running after {LONGEST_RUN.total_seconds() / 3600:.0f} hours. Raise this for longer runs.",
        trigger=_trigger({"prefect.flow-run.Running"}, {SUSPENDED} | ENDS, LONGEST_RUN),
        actions=[CancelFlowRun()],
    )
    return [silent, not_begun, hung, *_retrain(), *_notification()]


def _crash(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.CRASHED, name=None, message=message, force=True)


def _stated(automation: AutomationCore) -> AutomationCore:
    """Return `automation` without what the server alone sets, which it refuses to be sent."""
    return AutomationCore(**automation.model_dump(exclude={"id", "created", "updated", "owner_resource"}))


def _retrain() -> list[Automation]:
    """Return the automation that starts a retrain for new images; none where `prefect.yaml` has no such deployment."""
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return []
    template = "{{ event.payload.reason | default('an event') }}"
    retrain = RunDeployment(
        source="selected",
        deployment_id=deployment.id,
        parameters={"reason": {"__prefect_kind": "jinja", "template": template}, "update_data": True},
        job_variables=None,
    )
    arrived = Automation(
        name=IMAGES,
        description=f"For the event {IMAGES_ARRIVED}, which the flow watch-data sends; other programs may, too.",
        trigger=EventTrigger(
            expect={IMAGES_ARRIVED},
            match=ResourceSpecification({"prefect.resource.id": SOURCES}),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[retrain],
    )
    return [arrived]


def _notification() -> list[Automation]:
    """Return the automation that tells the webhook of crashed runs, which cannot tell it themselves; if one is set."""
    url = os.environ.get(WEBHOOK_VARIABLE)
    if not url:
        return []
    block: Any = CustomWebhookNotificationBlock(
        name=WEBHOOK_BLOCK,
        url="{{url}}",
        json_data={"text": "{{subject}}: {{body}}"},
        secrets=SecretDict({"url": url}),
        headers=None,
        cookies=None,
    )
    block_id = block.save(WEBHOOK_BLOCK, overwrite=True)
    crashed = Automation(
        name="CoroNet: the webhook is told of crashed runs",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match_related=OF_CORONET,
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[SendNotification(block_document_id=block_id, subject=SUBJECT, body=BODY)],
    )
    return [crashed]


OF_CORONET: Final = ResourceSpecification({"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"})


def _trigger(after: set[str], expect: set[str], within: timedelta) -> EventTrigger:
    """Return a trigger that fires for a run of ours in which none of `expect` follows `after` within that time."""
    return EventTrigger(
        after=after,
        expect=expect,
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=OF_CORONET,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )
