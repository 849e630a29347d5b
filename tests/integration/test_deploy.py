"""Deploying again and again to a real server: what people have set on Prefect's page stays."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect import get_client
from prefect.automations import AutomationCore, EventTrigger, RunDeployment
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.variables import Variable
from ruamel.yaml import YAML

from flows.monitoring.automations import IMAGES, SILENT, install_automations
from flows.monitoring.final_states import OURS
from flows.monitoring.schedules import GIVEN, scheduled_deployments
from flows.servers.commands import prefect_server
from flows.servers.server_process import child_server, free_port
from tests.integration.conftest import make_project
from tests.integration.hosts import Host

pytestmark = [pytest.mark.integration, pytest.mark.slow]
RETRAIN = "retrain/retrain"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server with the project's work pool."""
    folder, server = tmp_path_factory.mktemp("server"), prefect_server(free_port())
    address = f"{server.page}/api"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PREFECT_HOME", str(folder))
        with child_server("prefect", server), temporary_settings({PREFECT_API_URL: address}):
            yield address


@pytest.fixture
def client(api: str) -> Iterator[SyncPrefectClient]:  # noqa: ARG001  # its server
    """A client of the server, on which nothing has been deployed yet."""
    with get_client(sync_client=True) as found:
        for deployment in found.read_deployments():
            found.delete_deployment(deployment.id)
        Variable.unset(GIVEN)
        yield found


@pytest.fixture
def host(tmp_path: Path, api: str) -> Host:
    return Host(make_project(tmp_path / "coronet").folder, {"PREFECT_API_URL": api})


def coronet_deploy(host: Host) -> "subprocess.CompletedProcess[str]":
    return host.run("flows", "deploy")


def prefect_deploy(host: Host) -> "subprocess.CompletedProcess[str]":
    return host.run("prefect", "--no-prompt", "deploy", "--all")


def deployed(host: Host, *ways: Callable[[Host], "subprocess.CompletedProcess[str]"]) -> None:
    for way in ways:
        finished = way(host)
        assert finished.returncode == 0, finished.stdout


def retrain(client: SyncPrefectClient) -> DeploymentResponse:
    return client.read_deployment_by_name(RETRAIN)


def only_schedule(client: SyncPrefectClient) -> tuple[DeploymentSchedule, str, bool]:
    (schedule,) = retrain(client).schedules
    assert isinstance(schedule.schedule, CronSchedule)
    return schedule, schedule.schedule.cron, schedule.active


def test_schedules_belong_to_the_page(host: Host, client: SyncPrefectClient) -> None:
    deployed(host, coronet_deploy)
    given, *what = only_schedule(client)
    assert what == ["0 3 * * 0", False]
    edited = CronSchedule(cron="30 5 * * 1", timezone="Europe/Berlin")
    client.update_deployment_schedule(retrain(client).id, given.id, active=True, schedule=edited)
    deployed(host, coronet_deploy, prefect_deploy, coronet_deploy)
    kept, *what = only_schedule(client)
    assert (kept.id, *what) == (given.id, "30 5 * * 1", True)
    client.delete_deployment_schedule(retrain(client).id, kept.id)
    deployed(host, coronet_deploy, prefect_deploy)
    assert retrain(client).schedules == []


def test_a_deployment_of_prefects_own_command_is_given_its_schedule_once(host: Host, client: SyncPrefectClient) -> None:
    host.run("prefect", "work-pool", "create", "coronet", "--type", "process")
    deployed(host, prefect_deploy)
    assert retrain(client).schedules == []
    deployed(host, coronet_deploy, coronet_deploy)
    assert only_schedule(client)[1:] == ("0 3 * * 0", False)


def test_a_paused_deployment_stays_paused(host: Host, client: SyncPrefectClient) -> None:
    deployed(host, coronet_deploy)
    client.pause_deployment(retrain(client).id)
    deployed(host, coronet_deploy)
    assert retrain(client).paused
    assert not client.read_deployment_by_name("promote/promote").paused


def test_status_names_what_is_switched_on_with_its_next_run(host: Host, client: SyncPrefectClient) -> None:
    deployed(host, coronet_deploy)
    assert scheduled_deployments(client) == []
    schedule, *_ = only_schedule(client)
    client.update_deployment_schedule(retrain(client).id, schedule.id, active=True)
    deadline = time.monotonic() + 120
    while (next_run := scheduled_deployments(client)[0].next_run) is None:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert (next_run.isoweekday(), next_run.hour) == (7, 3)
    finished = host.run("flows", "status", "--json")
    assert finished.returncode == 0, finished.stdout
    (one,) = json.loads(finished.stdout)["scheduled"]
    assert one == {"deployment": "retrain", "schedules": ["0 3 * * 0 (UTC)"], "next_run": next_run.isoformat()}
    client.pause_deployment(retrain(client).id)
    assert scheduled_deployments(client) == []


def automation(client: SyncPrefectClient, name: str) -> AutomationCore:
    (found,) = client.read_automations_by_name(name)
    return found


@pytest.mark.usefixtures("api")
def test_automations_stay_as_they_are_set_and_learn_names_and_deployments(client: SyncPrefectClient) -> None:
    """Earlier versions knew fewer names of final states, and ran the deployment that was there then."""
    flow = client.create_flow_from_name("retrain")
    former = client.create_deployment(flow_id=flow, name="retrain")
    install_automations()
    silent = automation(client, SILENT)
    assert isinstance(silent.trigger, EventTrigger)
    silent.trigger.expect -= {f"prefect.flow-run.{name}" for name in OURS}
    silent.trigger.within *= 10
    silent.enabled = False
    client.update_automation(silent.id, AutomationCore(**silent.model_dump(exclude={"id", "owner_resource"})))
    client.delete_deployment(former)
    current = client.create_deployment(flow_id=flow, name="retrain")
    install_automations()
    kept = automation(client, SILENT)
    assert isinstance(kept.trigger, EventTrigger)
    assert (kept.enabled, kept.trigger.within) == (False, silent.trigger.within)
    assert {f"prefect.flow-run.{name}" for name in OURS} < kept.trigger.expect
    (action,) = automation(client, IMAGES).actions
    assert isinstance(action, RunDeployment)
    assert action.deployment_id == current


def test_a_schedule_from_before_is_kept_as_it_was_set(host: Host, client: SyncPrefectClient) -> None:
    """Earlier versions stated schedules, without slugs, in prefect.yaml itself."""
    path, yaml = host.folder / "prefect.yaml", YAML()
    today = path.read_text()
    content = yaml.load(today)
    content["deployments"][0]["schedules"] = [{"cron": "0 3 * * 0", "timezone": "UTC", "active": False}]
    with path.open("w") as file:
        yaml.dump(content, file)
    host.run("prefect", "work-pool", "create", "coronet", "--type", "process")
    deployed(host, prefect_deploy)
    schedule, *_ = only_schedule(client)
    client.update_deployment_schedule(retrain(client).id, schedule.id, active=True)
    path.write_text(today)
    deployed(host, coronet_deploy, prefect_deploy)
    kept, *what = only_schedule(client)
    assert (kept.id, *what) == (schedule.id, "0 3 * * 0", True)
