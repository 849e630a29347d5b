"""Schedules of deployments, which belong to whoever edits them on Prefect's page.

`prefect deploy` deletes and recreates the schedules that it is given, so `prefect.yaml` gives it none. Each deployment
is given its schedule once; a variable on the server names those that have been, so that a schedule that a person has
deleted stays away.
"""

from pathlib import Path
from typing import Any, Final, cast

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.variables import Variable
from ruamel.yaml import YAML

from flows.monitoring.work_pool import TAG

GIVEN: Final = "coronet_schedules_given"
"""The variable on the server: ids of the deployments that have been given their schedule."""


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
