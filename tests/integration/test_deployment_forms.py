"""What people read on Prefect's page, asked of a real server: descriptions, forms, and names of what waits."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterState, TaskRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL, temporary_settings

from coronet_core.support.errors import CoroNetError
from flows.monitoring.schedules import stated_schedules
from flows.monitoring.work_pool import POOL
from flows.overview.project_state import find_workers
from flows.project.graph import read_graph
from flows.servers.addresses import known_prefect
from flows.servers.commands import prefect_server
from flows.servers.server_process import child_server, free_port
from flows.validate import validate
from flows.watch_data import watch_data
from flows.watch_drift import watch_drift
from tests.conftest import PROJECT
from tests.integration.conftest import PREFECT_TABLES, make_project
from tests.integration.hosts import Host, end_group

pytestmark = [pytest.mark.integration, pytest.mark.slow]
LONGEST_WAIT_S: Final = 600


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, server = tmp_path_factory.mktemp("server"), prefect_server(free_port())
    for file in PREFECT_TABLES:
        shutil.copy(file, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PREFECT_HOME", str(folder))
        with child_server("prefect", server), temporary_settings({PREFECT_API_URL: f"{server.page}/api"}):
            yield f"{server.page}/api"


@pytest.fixture(scope="module")
def client(api: str) -> Iterator[SyncPrefectClient]:  # noqa: ARG001  # its server
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture(scope="module")
def host(api: str, tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(make_project(tmp_path_factory.mktemp("host") / "coronet").folder, {"PREFECT_API_URL": api})


@pytest.fixture(scope="module")
def deployments(host: Host, client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    deployed = host.run("flows", "deploy")
    assert deployed.returncode == 0, deployed.stdout
    return {one.name: one for one in client.read_deployments()}


def test_each_deployment_says_what_it_does_when_it_runs_and_what_it_needs(
    deployments: dict[str, DeploymentResponse],
) -> None:
    assert len(deployments) >= 13
    for name, one in deployments.items():
        what, when, needs = str(one.description).strip().split("\n\n")
        assert what.endswith("."), name
        assert when.startswith("**When:** "), name
        assert needs.startswith("**Needs:** "), name
        assert ("schedule is switched on" in when) == (name in stated_schedules(PROJECT / "prefect.yaml")), name


def test_each_parameter_of_a_form_says_what_it_is(deployments: dict[str, DeploymentResponse]) -> None:
    silent = []
    for name, one in deployments.items():
        form = one.parameter_openapi_schema or {}
        parts = [form, *form.get("definitions", {}).values()]
        fields = [field for part in parts for field in part.get("properties", {}).items()]
        assert fields, name
        silent += [f"{name}: {key}" for key, field in fields if not field.get("description")]
    assert silent == []


def test_runs_are_named_by_what_they_do(
    client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They fail here for want of a project: their names are there before."""
    monkeypatch.chdir(tmp_path)
    states = [
        watch_drift("logs", return_state=True),
        watch_data(3, return_state=True),
        validate("elsewhere", return_state=True),
    ]
    ids = [state.state_details.flow_run_id for state in states]
    assert [client.read_flow_run(one).name for one in ids if isinstance(one, UUID)] == [
        "drift in logs, 7 days",
        "look for 3 new images or more",
        "validation on elsewhere",
    ]


def test_stages_have_their_names_while_they_wait(
    host: Host, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(host.folder)
    names = {stage.name for stage in read_graph()}
    with host.start("flows", "run", start_new_session=True) as process:
        try:
            waiting = waiting_tasks(client, len(names) - 1)
        finally:
            end_group(process)
    named = {name.rpartition("-")[0] for name in waiting}  # behind it are three characters of Prefect's
    assert names - {"build_split"} <= named <= names


def waiting_tasks(client: SyncPrefectClient, n_tasks: int) -> list[str]:
    """The names of all tasks of the run once so many are known to wait."""
    pending = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.PENDING])))
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        if len(found := client.read_task_runs(task_run_filter=pending)) >= n_tasks:
            return [task.name for task in found]
        time.sleep(0.5)
    pytest.fail(f"only {len(found)} tasks wait")


@pytest.mark.usefixtures("deployments")
def test_the_status_names_the_workers_that_are_online(api: str, client: SyncPrefectClient) -> None:
    server = replace(known_prefect(), url=api, is_running=True)
    assert find_workers(server) == []
    client.send_worker_heartbeat(POOL, "worker of ward 7", heartbeat_interval_seconds=60)
    (found,) = find_workers(server)
    assert (found.name, found.is_online) == ("worker of ward 7", True)


def test_without_the_pool_the_status_says_what_makes_it(api: str) -> None:
    server = replace(known_prefect(), url=api, is_running=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flows.monitoring.work_pool.POOL", "nowhere")
        with pytest.raises(CoroNetError, match="no pool nowhere yet: `coronet deploy` makes it"):
            find_workers(server)
