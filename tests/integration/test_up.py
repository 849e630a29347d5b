"""`coronet up`: Prefect on PostgreSQL, MLflow and a worker; runs by hand, by schedule, cancelled, and killed."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import asyncpg
import psutil
import pytest
from mlflow import MlflowClient
from prefect.settings import PREFECT_API_URL, temporary_settings

from benchmarks.browser import chromium, rendered
from flows.pipeline.stage_tasks import limited_tags
from flows.servers.server_process import free_port
from tests.integration.conftest import LIGHT, make_project
from tests.integration.hosts import Host, end_group
from tests.integration.postgres import postgres_server
from tests.integration.up import ENDS, LONGEST_WAIT_S, Up

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@dataclass
class Listener:
    """A webhook that keeps what it is sent."""

    received: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture(scope="module")
def webhook() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # named by the library
            listener.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    listener.url = f"http://127.0.0.1:{server.server_port}/"
    yield listener
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres_server() as server:
        yield server.address


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, webhook: Listener, database: str) -> Iterator[Up]:
    prefect, mlflow = free_port(), free_port()
    variables = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.replace("postgresql://", "postgresql+asyncpg://"),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "CORONET_WEBHOOK_URL": webhook.url,
    }
    host = Host(make_project(tmp_path_factory.mktemp("up") / "coronet").folder, variables)
    host.set_params(LIGHT)
    host.git("commit", "-qam", "light")
    ports = ("--prefect-port", prefect, "--mlflow-port", mlflow, "--worker-port", free_port())
    process = host.start("flows", "up", *map(str, ports), start_new_session=True)
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if "A worker serves the pool coronet" in line:
            break
    else:
        pytest.fail("".join(lines))
    assert [line.split(":")[0] for line in lines if line.startswith("starting ")] == [
        "starting Prefect's server",
        "starting MLflow's server",
        "starting a worker",
    ]
    api = f"http://127.0.0.1:{prefect}/api"
    with process:
        yield Up(replace(host, variables={"PREFECT_API_URL": api}), api, f"http://127.0.0.1:{mlflow}", process)
        if process.poll() is None:
            end_group(process, signal.SIGINT)


def test_the_deployments_are_there_and_the_schedule_is_off(up: Up) -> None:
    found = {one["name"]: one for one in up.post("deployments/filter")}
    studies = {"cross-validate", "ablate", "compare", "tune"}
    assert studies | {"retrain", "promote", "rollback", "predict-batch", "stage", "validate"} <= set(found)
    assert [schedule["active"] for schedule in found["retrain"]["schedules"]] == [False]
    assert {one["work_pool_name"] for one in found.values()} == {"coronet"}


def test_stages_have_the_tags_that_the_server_limits(up: Up) -> None:
    with temporary_settings({PREFECT_API_URL: up.api}):
        assert limited_tags(["coronet-gpu"]) == set()
        created = up.host.run("prefect", "gcl", "create", "tag:coronet-gpu", "--limit", "2")
        assert created.returncode == 0, created.stdout
        assert limited_tags(["coronet-gpu", "another"]) == {"coronet-gpu"}


def test_deploying_again_leaves_a_schedule_on_and_doubles_nothing(up: Up) -> None:
    names = sorted(one["name"] for one in up.post("automations/filter"))
    again = up.host.run("flows", "deploy")
    assert again.returncode == 0, again.stdout
    assert sorted(one["name"] for one in up.post("automations/filter")) == names
    assert len(names) == 5


@pytest.fixture(scope="module")
def first_run(up: Up) -> UUID:
    run_id = up.start("retrain/retrain", promotion=None)
    run = up.end_of(run_id)
    assert run["state_type"] == "COMPLETED", up.logs(run_id)
    return run_id


def test_a_worker_runs_the_dag(up: Up, first_run: UUID) -> None:
    tasks = up.post("task_runs/filter", flow_runs={"id": {"any_": [str(first_run)]}})
    assert len(tasks) == 11
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}


def test_the_run_is_called_by_preset_data_and_code(up: Up, first_run: UUID) -> None:
    name = up.get(f"flow_runs/{first_run}")["name"]
    assert name.startswith("own params, data ")
    assert "to be built" not in name
    assert "+" not in name


def test_the_page_has_progress_tables_summary_and_the_mlflow_run(up: Up, first_run: UUID) -> None:
    found = {one["key"]: one for one in up.post("artifacts/filter", flow_runs={"id": {"any_": [str(first_run)]}})}
    assert {"report", "metrics", "figures", "mlflow-run", "progress-train-autoencoder-healthy"} <= set(found)
    assert found["progress-train-autoencoder-healthy"]["data"] == 100
    assert f"{up.mlflow}/#/experiments/" in found["mlflow-run"]["data"]


@pytest.mark.skipif(chromium() is None, reason="needs Chromium, which is not on the path")
def test_a_browser_shows_the_stages_the_artifacts_and_the_schedule(up: Up, first_run: UUID) -> None:
    deployment = up.get("deployments/name/retrain/retrain")["id"]
    page = up.api.replace("/api", "/v2")
    run = f"{page}/runs/flow-run/{first_run}"
    assert "Running stage 'build_split'" in rendered(run)
    assert "Figures on the test split" in rendered(f"{run}?tab=Artifacts")
    assert "At 03:00 AM, only on Sunday" in rendered(f"{page}/deployments/deployment/{deployment}")


def test_the_webhook_is_told(up: Up, first_run: UUID, webhook: Listener) -> None:
    assert up.get(f"flow_runs/{first_run}")["state_type"] == "COMPLETED"
    told = [one for one in webhook.received if one["flow_run_id"] == str(first_run)]
    assert [one["state"] for one in told] == ["COMPLETED"]
    assert "accuracy" in told[0]["text"]


@pytest.mark.usefixtures("first_run")
def test_a_schedule_fires_and_finds_nothing_to_do(up: Up) -> None:
    deployment = up.get("deployments/name/retrain/retrain")
    schedule = deployment["schedules"][0]["id"]
    every_minute = {"cron": "* * * * *", "timezone": "UTC"}
    path = f"deployments/{deployment['id']}/schedules/{schedule}"
    up.patch(path, active=True, schedule=every_minute)
    wanted = {"deployment_id": {"any_": [deployment["id"]]}, "state": {"name": {"any_": ["Up to date"]}}}
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not (found := up.post("flow_runs/filter", flow_runs=wanted)) and time.monotonic() < deadline:
        time.sleep(2)
    up.patch(path, active=False)
    assert found, up.runs_of(deployment["id"])
    assert all(one["auto_scheduled"] for one in found)


@pytest.mark.usefixtures("first_run")
def test_what_a_schedule_brings_is_judged_by_a_run_of_its_own(up: Up) -> None:
    """The demo's floors are out of reach for three test images of a class."""
    wanted = {"name": {"any_": ["promote"]}}
    (run, *_) = until(lambda: up.post("flow_runs/filter", flows=wanted), LONGEST_WAIT_S)
    ended = up.end_of(UUID(run["id"]))
    assert ended["state_name"] == "Refused", up.logs(UUID(run["id"]))
    assert "is refused:" in ended["state"]["message"]


def training(project: Path) -> list[psutil.Process]:
    running = psutil.process_iter(["cmdline", "cwd"])
    return [p for p in running if p.info["cwd"] == str(project) and "train_cin" in (p.info["cmdline"] or [])]


def until(reached: Callable[[], Any], retry_for_s: float = 120) -> Any:
    deadline = time.monotonic() + retry_for_s
    while not (found := reached()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def at_work(up: Up, first_run: UUID) -> UUID:
    """A retrain that trains the CIN for longer than two tests need."""
    assert first_run
    up.host.set_params({"cin": {"epochs": 400}})
    run_id = up.start("retrain/retrain", promotion=None)
    until(lambda: training(up.host.folder))
    return run_id


def test_a_second_retrain_is_refused_while_one_runs(up: Up, at_work: UUID) -> None:
    refused = up.host.run("flows", "run")
    assert refused.returncode == 1
    assert "in another process. Wait for it, then try again." in refused.stdout
    assert up.get(f"flow_runs/{at_work}")["state_type"] == "RUNNING"
    assert training(up.host.folder)


def test_cancelled_on_the_page_it_ends_with_all_processes_and_goes_on_later(up: Up, at_work: UUID) -> None:
    up.post(f"flow_runs/{at_work}/set_state", state={"type": "CANCELLING"}, force=True)
    assert up.end_of(at_work)["state_type"] == "CANCELLED"
    until(lambda: not training(up.host.folder))
    tasks = up.post("task_runs/filter", flow_runs={"id": {"any_": [str(at_work)]}})
    told = {task["name"]: (task["state_name"], task["state"]["message"]) for task in tasks}
    assert told["calibrate"] == ("Not run", "upstream stages did not complete: train_cin")
    up.host.set_params({"cin": {"epochs": 2}})
    assert up.end_of(up.start("retrain/retrain", promotion=None))["state_type"] == "COMPLETED"


def test_ctrl_c_ends_all_of_it_and_the_run_at_work_has_an_end(up: Up, database: str) -> None:
    up.host.set_params({"cin": {"epochs": 40}})
    run_id = up.start("retrain/retrain", promotion=None)
    until(lambda: training(up.host.folder))
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert any("train_cin" in child.cmdline() for child in children)
    os.killpg(up.process.pid, signal.SIGINT)
    output, _ = up.process.communicate(timeout=60)
    assert up.process.returncode in (0, 130), output
    assert "Traceback" not in output
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    flow, tasks = asyncio.run(states_in(database, run_id))
    assert flow == "CRASHED"
    assert tasks <= ENDS
    assert "CANCELLED" in tasks  # those that wait for the one that was ended
    client = MlflowClient(f"sqlite:///{up.host.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    assert any("mlflow.parentRunId" not in run.data.tags for run in runs if run.info.status == "KILLED")


async def states_in(database: str, run_id: UUID) -> tuple[str, set[str]]:
    """What the database says of a run and its tasks when no server is left to ask."""
    connection = await asyncpg.connect(database)
    try:
        flow = await connection.fetchval("SELECT state_type FROM flow_run WHERE id = $1", run_id)
        tasks = await connection.fetch("SELECT state_type FROM task_run WHERE flow_run_id = $1", run_id)
        return str(flow), {str(task["state_type"]) for task in tasks}
    finally:
        await connection.close()
