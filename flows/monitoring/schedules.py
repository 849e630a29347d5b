"""Schedules of deployments, which belong to whoever edits them on Prefect's page.

`prefect deploy` deletes and recreates the schedules that it is given, so `prefect.yaml` gives it none. Each deployment
is given its schedule once; a variable on the server names those that have been, so that a schedule that a person has
deleted stays away.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import SCHEDULE_TYPES, CronSchedule, IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.variables import Variable
from ruamel.yaml import YAML

from flows.monitoring.work_pool import TAG

GIVEN: Final = "coronet_schedules_given"
"""The variable on the server: ids of the deployments that have been given their schedule."""


@dataclass(frozen=True, kw_only=True)
class ScheduledDeployment:
    """A deployment that is run by the clock."""

    deployment: str
    schedules: tuple[str, ...]
    """The active ones, such as `0 3 * * 0 (UTC)`."""
    next_run: datetime | None
    """None: the server has not planned it yet. In the past: no worker has taken it."""


def stated_schedules(prefect_file: Path) -> dict[str, dict[str, Any]]:
    """Return by deployment the schedule that `definitions.schedules` of `prefect_file` states for it."""
    content = YAML(typ="safe").load(prefect_file.read_text(encoding="utf-8"))
    stated: dict[str, dict[str, Any]] = content["definitions"]["schedules"]
    return stated


def add_missing_schedules(client: SyncPrefectClient, prefect_file: Path) -> None:
    """Give each deployment that never had one the schedule that `prefect_file` states for it."""
    stated = stated_schedules(prefect_file)
    given = set(cast("list[str]", Variable.get(GIVEN, default=[])))
    deployments = [one for one in deployments_of_project(client) if one.name in stated and str(one.id) not in given]
    for deployment in deployments:
        if not deployment.schedules:
            schedule = stated[deployment.name]
            cron = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
            missing = DeploymentScheduleCreate(schedule=cron, active=schedule["active"])
            client.create_deployment_schedules(deployment.id, [missing])
    if deployments:
        ids = sorted(given.union(str(deployment.id) for deployment in deployments))
        Variable.set(GIVEN, list[Any](ids), overwrite=True)


def deployments_of_project(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """Return the deployments that the server has of this project."""
    return client.read_deployments(deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])))


def scheduled_deployments(client: SyncPrefectClient) -> list[ScheduledDeployment]:
    """Return the deployments of the project with an active schedule that are not paused, by name."""
    active = [
        (deployment, [one.schedule for one in deployment.schedules if one.active])
        for deployment in deployments_of_project(client)
        if not deployment.paused
    ]
    found = [
        ScheduledDeployment(
            deployment=deployment.name,
            schedules=tuple(map(in_words, schedules)),
            next_run=_next_run(client, deployment),
        )
        for deployment, schedules in active
        if schedules
    ]
    return sorted(found, key=lambda one: one.deployment)


def in_words(schedule: SCHEDULE_TYPES) -> str:
    """Return the rule of `schedule` with its time zone."""
    match schedule:
        case CronSchedule():
            rule = schedule.cron
        case IntervalSchedule():
            rule = f"every {schedule.interval}"
        case _:
            rule = str(getattr(schedule, "rrule", "once"))
    zone = getattr(schedule, "timezone", None)
    return f"{rule} ({zone})" if zone else rule


def _next_run(client: SyncPrefectClient, deployment: DeploymentResponse) -> datetime | None:
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    runs = client.read_flow_runs(flow_run_filter=due, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=1)
    return runs[0].expected_start_time if runs else None
