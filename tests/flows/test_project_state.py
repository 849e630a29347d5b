"""What `coronet status` says: of a real DVC project and a real store, with servers that are down or up."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

from flows.monitoring.schedules import ScheduledDeployment, in_words
from flows.overview.project_state import PoolWorker, ProjectState, look_at_stages
from flows.overview.show_state import as_json_text, print_state
from flows.project.run_lock import RETRAIN_LOCK, alone
from flows.servers.addresses import known_mlflow, known_prefect, pages
from tasks.registry.model_name import MODEL
from tasks.registry.versions import CHAMPION, DIGEST_TAG
from tests.conftest import PROJECT

DAG = """
stages:
  copy:
    cmd: cp params.yaml out
    params: [epochs]
    outs: [out]
  count:
    cmd: wc -c < out > n
    deps: [out]
    outs: [n]
"""
DOWN = "http://alice:secret@127.0.0.1:9"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two stages, both run with 1 epoch, whose servers are down; the current folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("PREFECT_API_URL", f"{DOWN}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DOWN)
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True)
    Path("dvc.yaml").write_text(DAG)
    Path("params.yaml").write_text("epochs: 1\n")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], check=True)
    return folder


@pytest.fixture
def version(mlflow_store: str) -> str:
    """The number of a registered version that is the champion."""
    client = MlflowClient(mlflow_store)
    client.create_registered_model(MODEL)
    tags = {
        DIGEST_TAG: "0f" * 32,
        "git.commit": "c0ffee" * 6,
        "metric.accuracy": "0.925",
        "metric.roc_auc.macro": "nan",
    }
    found = client.create_model_version(MODEL, "file:///nowhere", tags=tags)
    client.set_registered_model_alias(MODEL, CHAMPION, found.version)
    return str(found.version)


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that answers 200 wherever it is asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.usefixtures("project")
def test_outdated_stages_are_those_that_dvc_would_run_and_the_others_wait_for_them() -> None:
    assert look_at_stages().outdated == look_at_stages().waiting == []
    Path("params.yaml").write_text("epochs: 2\n")
    found = look_at_stages()
    assert (found.outdated, found.waiting) == (["copy"], ["count"])


@pytest.mark.usefixtures("project")
def test_servers_that_are_down_are_said_to_be_and_their_passwords_are_not() -> None:
    state = ProjectState.now()
    assert (state.champion, state.scheduled, state.workers) == (None, None, None)
    assert state.reasons == {
        "champion": "MLflow's server is not running at http://127.0.0.1:9.",
        "scheduled": "Prefect's server is not running at http://127.0.0.1:9.",
        "workers": "Prefect's server is not running at http://127.0.0.1:9.",
    }
    text = as_json_text(state)
    assert "secret" not in text
    assert json.loads(text)["prefect"] == {
        "title": "Prefect",
        "page": "http://127.0.0.1:9",
        "is_configured": True,
        "is_running": False,
    }


def test_a_server_that_answers_is_running(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{server}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert known_prefect().is_running
    assert known_mlflow().is_running


def test_pages_are_those_that_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{DOWN}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{DOWN}/")
    assert pages() == {"Prefect": "http://127.0.0.1:9", "MLflow": "http://127.0.0.1:9"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert pages() == {"Prefect": "`make prefect` opens it", "MLflow": "`make mlflow` opens it"}


@pytest.mark.usefixtures("project")
def test_what_answers_and_is_no_prefect_server_fails_nothing(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{server}/api")
    state = ProjectState.now()
    assert state.scheduled is None
    assert state.reasons["scheduled"].startswith("scheduled cannot be read: JSONDecodeError")


@pytest.mark.usefixtures("project")
def test_the_champion_comes_with_its_figures(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    champion = json.loads(as_json_text(ProjectState.now()))["champion"]
    assert champion["version"] == int(version)
    assert champion["figures"] == {
        "accuracy": 0.925,
        "roc_auc.macro": None,
        "sensitivity.covid19": None,
        "specificity.covid19": None,
    }
    print_state(as_json=False)
    printed = capsys.readouterr().out
    assert f"version {version} of 20" in printed
    assert "code c0ffeec: accuracy 92.50%\n" in printed


@pytest.mark.usefixtures("project")
def test_a_run_that_is_under_way_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with alone(RETRAIN_LOCK, "retrain"):
        print_state(as_json=False)
    print_state(as_json=False)
    assert capsys.readouterr().out.count("a run is under way in this folder") == 1


@pytest.mark.parametrize(
    ("online", "words"),
    [
        ([True, False], "1 online: worker 0"),
        ([False], "none online since 2026-11-30 09:00 UTC: runs of deployments wait (`coronet up` starts one)"),
        ([], "none online: runs of deployments wait (`coronet up` starts one)"),
    ],
)
@pytest.mark.usefixtures("project")
def test_workers_are_those_that_are_online(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], online: list[bool], words: str
) -> None:
    seen = datetime(2026, 11, 30, 9, tzinfo=UTC)
    workers = [PoolWorker(name=f"worker {i}", is_online=one, last_heartbeat=seen) for i, one in enumerate(online)]
    monkeypatch.setattr("flows.overview.project_state.find_workers", lambda _: workers)
    print_state(as_json=False)
    assert f"workers    {words}\n" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_the_service_is_looked_for_at_its_port(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = int(server.rpartition(":")[2])
    monkeypatch.setattr("flows.servers.addresses.SERVICE_PORT", port)
    print_state(as_json=False)
    monkeypatch.setattr("flows.servers.addresses.SERVICE_PORT", 9)
    print_state(as_json=False)
    printed = capsys.readouterr().out
    assert f"Service {server}: running\n" in printed
    assert "Service http://127.0.0.1:9: not running (`coronet serve` starts it)\n" in printed


@pytest.mark.parametrize(("minutes", "words"), [(-5, "late since"), (5, "next 2"), (None, "next run not planned yet")])
@pytest.mark.usefixtures("project")
def test_a_schedule_is_shown_with_its_next_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], minutes: int | None, words: str
) -> None:
    due = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
    one = ScheduledDeployment(deployment="retrain", schedules=("0 3 * * 0 (UTC)",), next_run=due)
    monkeypatch.setattr("flows.overview.project_state.find_scheduled", lambda _: [one])
    print_state(as_json=False)
    assert f"scheduled  retrain: 0 3 * * 0 (UTC), {words}" in capsys.readouterr().out


def test_schedules_have_words() -> None:
    assert in_words(CronSchedule(cron="0 3 * * 0", timezone="UTC")) == "0 3 * * 0 (UTC)"
    assert in_words(IntervalSchedule(interval=timedelta(hours=6))).startswith("every 6:00:00")


def test_the_command_starts_nothing_and_loads_neither_torch_nor_prefect(project: Path) -> None:
    (project / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*{'torch', 'prefect'} & set(sys.modules), file=sys.stderr))\n"
        "from flows.cli.command_line import app\n"
        "app(['status', '--json'])\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stderr.split() == []
    assert json.loads(finished.stdout)["stages"]["outdated"] == ["copy"]
    assert not (project / ".coronet").exists()
