"""Prefect's and MLflow's server as this project starts them: pages of other sites get nowhere."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.servers.commands import mlflow_server, prefect_server
from flows.servers.cross_site_guard import HOSTS_VARIABLE
from flows.servers.server_process import Server, child_server, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]
TEAM = "lab.example"
FORM = "application/x-www-form-urlencoded"
PREFECT_POST, MLFLOW_POST = "/api/work_pools/filter", "/api/2.0/mlflow/experiments/create"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Both, in an empty folder with homes of their own; they also go by the name of a team's host."""
    folder: Path = tmp_path_factory.mktemp("servers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("PREFECT_HOME", str(folder / ".prefect"))
        patch.setenv(HOSTS_VARIABLE, TEAM)
        found = {"prefect": prefect_server(free_port()), "mlflow": mlflow_server(free_port())}
        with child_server("prefect", found["prefect"]), child_server("mlflow", found["mlflow"]):
            yield found


@pytest.fixture(params=["prefect", "mlflow"])
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    return servers[request.param]


def post_path(server: Server) -> str:
    return PREFECT_POST if "Prefect" in server.title else MLFLOW_POST


@pytest.mark.parametrize("path", ["/", "/api/health", "/health", "post"])
def test_a_foreign_host_is_refused(server: Server, path: str) -> None:
    headers = {"Host": "evil.example"}
    if path == "post":
        answer = httpx.post(server.page + post_path(server), json={}, headers=headers)
    else:
        answer = httpx.get(server.page + path, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9", "http://[", "http://localhost"]
)
def test_a_foreign_origin_is_refused_and_its_page_may_read_nothing(server: Server, origin: str) -> None:
    answers = [
        httpx.get(server.page, headers={"Origin": origin}),
        httpx.options(
            server.page + post_path(server), headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        ),
        httpx.post(server.page + post_path(server), json={"name": "evil"}, headers={"Origin": origin}),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert all("access-control-allow-origin" not in answer.headers for answer in answers)


@pytest.mark.parametrize("content_type", [FORM, "text/plain", "multipart/form-data; boundary=x"])
def test_a_form_of_another_page_is_refused(server: Server, content_type: str) -> None:
    headers = {"Origin": "https://evil.example", "Content-Type": content_type}
    answer = httpx.post(server.page + post_path(server), content='{"name": "evil"}', headers=headers)
    assert answer.status_code == 403


def test_nothing_came_of_all_that(servers: dict[str, Server]) -> None:
    client = MlflowClient(servers["mlflow"].page)
    assert client.get_experiment_by_name("evil") is None


@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
def test_a_websocket_of_another_page_is_refused(servers: dict[str, Server], path: str) -> None:
    address = servers["prefect"].page.replace("http", "ws") + path
    with pytest.raises(InvalidStatus) as refused, connect(address, origin="https://evil.example"):  # type: ignore[arg-type]
        pass
    assert refused.value.response.status_code == 403
    with connect(servers["prefect"].page.replace("http", "ws") + "/api/events/in"):  # a program's, without an origin
        pass


def test_own_pages_are_served(server: Server) -> None:
    for name in (server.page, server.page.replace("127.0.0.1", "localhost")):
        answer = httpx.get(name, headers={"Origin": name})
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert httpx.get(server.page, headers={"Host": TEAM, "Origin": f"https://{TEAM}"}).status_code == 200


def test_prefects_client_works_and_a_post_without_its_token_does_not(servers: dict[str, Server]) -> None:
    api = f"{servers['prefect'].page}/api"
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="own", type="process"))
        assert client.read_work_pool("own").type == "process"
    assert httpx.post(f"{api}/work_pools/filter", json={}).status_code == 403


def test_mlflows_client_works(servers: dict[str, Server]) -> None:
    client = MlflowClient(servers["mlflow"].page)
    run = client.create_run(client.create_experiment("own"))
    client.log_text(run.info.run_id, "kept", "note.txt")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["note.txt"]
