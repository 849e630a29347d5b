"""The registry as a team has it: MLflow on PostgreSQL, artifacts and DVC's remote on S3. The tests go on from another.

The tracking server is killed while the networks are trained, and is back before they are registered.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from flows.servers.server_process import QUIET, free_port
from tasks.registry.model_signature import input_example
from tasks.runtime.paths import CIN_WEIGHTS, METRICS, SPLIT
from tests.integration.conftest import LIGHT, make_project
from tests.integration.hosts import Host, served
from tests.integration.postgres import postgres_server
from tests.integration.s3 import S3Server, s3_server

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]  # the fixture is a whole run
STAGES = ("build_split", "train_autoencoder@healthy", "train_autoencoder@pneumonia", "train_cin", "evaluate", "report")


@dataclass
class Team:
    """A clone, the servers that it uses, and what its first run said."""

    host: Host
    s3: S3Server
    tracking: str
    said: str

    def coronet(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.host.run("flows", *arguments)

    def locked(self, stage: str) -> dict[str, str]:
        entry = YAML(typ="safe").load((self.host.folder / "dvc.lock").read_text())["stages"][stage]
        return {one["path"]: one["md5"] for one in [*entry["deps"], *entry["outs"]]}

    def stored(self, suffix: str) -> str:
        """The key of the one artifact in S3 that ends so."""
        pages = self.s3.client().get_paginator("list_objects_v2").paginate(Bucket="mlflow")
        (key,) = [one["Key"] for page in pages for one in page["Contents"] if one["Key"].endswith(suffix)]
        return str(key)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder, port = tmp_path_factory.mktemp("team"), free_port()
    tracking = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        s3 = stack.enter_context(s3_server(folder / "s3", "mlflow", "dvc"))
        database = stack.enter_context(postgres_server()).address.replace("postgresql://", "postgresql+psycopg2://")
        command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", database, "--artifacts-destination", "s3://mlflow"]
        server = stack.enter_context(served(folder / "mlflow", f"{tracking}/health", *command, **s3.variables))
        keys = {name: value for name, value in s3.variables.items() if name.startswith("AWS_")}  # for DVC alone
        variables = {"MLFLOW_TRACKING_URI": tracking, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", **QUIET, **keys}
        host = Host(make_project(folder / "coronet").folder, variables)
        host.set_params(LIGHT)
        host.git("commit", "-qam", "light")
        remote = f"['remote \"s3\"']\n    url = s3://dvc/lab\n    endpointurl = {s3.endpoint}\n"
        (host.folder / ".dvc" / "config.local").write_text(f"[core]\n    remote = s3\n{remote}")
        with host.start("dvc", "repro") as training:
            until(lambda: works_on(host, "train_autoencoder"))
            server.kill()
            said, _ = training.communicate()
        assert training.returncode == 0, said
        host.git("add", "dvc.lock")
        host.git("commit", "-qm", "trained")
        server.start()
        yield Team(host, s3, tracking, said)


def works_on(host: Host, stage: str) -> bool:
    found = psutil.process_iter(["cmdline", "cwd"])
    return any(one.info["cwd"] == str(host.folder) and stage in (one.info["cmdline"] or []) for one in found)


def until(reached: Callable[[], Any], retry_for_s: float = 240) -> None:
    deadline = time.monotonic() + retry_for_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def registered(team: Team) -> str:
    """What registering said."""
    finished = team.coronet("models", "register")
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def test_a_run_whose_tracking_server_is_killed_ends_well(team: Team) -> None:
    assert "MLflow cannot be reached" in team.said


def test_its_record_arrives_when_the_server_is_back(team: Team, registered: str) -> None:
    assert "version 1 (challenger)" in registered
    assert "has no runs of" not in registered
    client = MlflowClient(team.tracking)
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(STAGES) <= set(runs)
    assert {runs[stage].info.status for stage in STAGES} == {"FINISHED"}
    assert len(client.get_metric_history(runs["train_cin"].info.run_id, "validation_loss")) == 2
    assert list((team.host.folder / ".coronet" / "tracking").glob("*/events.jsonl")) == []


@pytest.mark.usefixtures("registered")
def test_the_version_tells_split_code_runs_and_figures(team: Team) -> None:
    finished = team.coronet("models", "show", "challenger")
    assert finished.returncode == 0, finished.stdout
    told = dict(line.split(": ", 1) for line in finished.stdout.splitlines())
    metrics = json.loads((team.host.folder / METRICS).read_text())
    head = ["git", "rev-parse", "HEAD~1"]
    commit = subprocess.run(head, cwd=team.host.folder, capture_output=True, text=True, check=True).stdout.strip()
    assert told["commit"] == commit
    assert told[f"dvc.{SPLIT}"] == team.locked("build_split")[str(SPLIT)]
    assert told[f"dvc.{CIN_WEIGHTS}"] == team.locked("train_cin")[str(CIN_WEIGHTS)]
    assert float(told["metric.accuracy"]) == pytest.approx(metrics["accuracy"], abs=1e-5)
    assert {f"run.{stage.replace('@', '.')}" for stage in STAGES} <= set(told)
    assert told["run.train_autoencoder.healthy"].startswith(f"{team.tracking}/#/experiments/")
    assert told["report"].endswith("reports/report.html")
    assert "'epochs': 2" in told["params.cin"]


@pytest.mark.usefixtures("registered")
def test_the_list_has_a_line_for_each_version(team: Team) -> None:
    head, *lines = team.coronet("models", "list").stdout.splitlines()
    assert head.split("\t")[:3] == ["version", "aliases", "created (UTC)"]
    assert [line.split("\t")[:2] for line in lines] == [["1", "challenger"]]


PROMOTE = "from tasks.registry.champion_alias import *; from tasks.registry.versions import find_version as find; "
LOAD = """
import sys
import mlflow
print(mlflow.pyfunc.load_model("models:/coronet@champion").predict([sys.stdin.read()]).to_json(orient="records"))
"""


@pytest.fixture(scope="module")
def promoted(team: Team, registered: str) -> str:
    assert registered
    said = team.host.finish(PROMOTE + "set_champion(find('1'), None); print(find('champion').aliases)")
    assert "('champion',)" in said
    return said


@pytest.mark.usefixtures("promoted")
def test_the_champion_is_loaded_by_its_address(team: Team) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", LOAD],
        input=input_example()[0],
        cwd=team.host.folder.parent,
        env=team.host.environment | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    (answer,) = json.loads(finished.stdout.splitlines()[-1])
    assert answer["error"] is None
    assert answer["predicted"] in ("healthy", "pneumonia", "covid19")


@pytest.mark.usefixtures("promoted")
def test_the_champion_is_served_and_reads_no_file_of_its_server(team: Team, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(base64.b64decode(input_example()[0]))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = ("mlflow", "models", "serve", "--model-uri", "models:/coronet@champion", "--env-manager", "local")
    variables = team.host.variables | {"PYTHONPATH": ""}
    with served(
        tmp_path / "serve", f"{address}/ping", *command, "--host", "127.0.0.1", "--port", str(port), **variables
    ):
        images = [*input_example(), str(tmp_path / "scan.png"), (tmp_path / "scan.png").as_uri(), f"{address}/ping"]
        response = httpx.post(f"{address}/invocations", json={"inputs": images}, timeout=120)
    assert response.status_code == 200, response.text
    errors = [answer["error"] for answer in response.json()["predictions"]]
    assert errors[0] is None
    assert "Paths are not read from strings" in errors[1]
    assert all("a URL. URLs are not fetched" in error for error in errors[2:])


@pytest.mark.usefixtures("registered")
def test_an_artifact_that_was_tampered_with_in_s3_is_refused(team: Team, tmp_path: Path) -> None:
    client, key = team.s3.client(), team.stored("/artifacts/coronet/cin.safetensors")
    sound = client.get_object(Bucket="mlflow", Key=key)["Body"].read()
    client.put_object(Bucket="mlflow", Key=key, Body=sound[:-1] + bytes([sound[-1] ^ 1]))
    elsewhere = {"folder": make_project(tmp_path / "coronet").folder, "variables": team.host.variables}
    refused = Host(**elsewhere).run("flows", "models", "fetch", "1", "--out", str(tmp_path / "package"))
    client.put_object(Bucket="mlflow", Key=key, Body=sound[:-1])
    truncated = Host(**elsewhere).run("flows", "models", "fetch", "1", "--out", str(tmp_path / "package"))
    client.put_object(Bucket="mlflow", Key=key, Body=sound)
    assert (refused.returncode, truncated.returncode) == (1, 1)
    assert "cin.safetensors: its SHA-256 differs from that in coronet.json" in refused.stdout
    assert "truncated or replaced" in truncated.stdout
    assert not (tmp_path / "package").exists()


@pytest.mark.usefixtures("registered")
def test_a_package_is_fetched_to_another_folder(team: Team, tmp_path: Path) -> None:
    finished = team.coronet("models", "fetch", "models:/coronet/1", "--out", str(tmp_path / "package"))
    assert finished.returncode == 0, finished.stdout
    made = team.host.folder / "models" / "coronet"
    assert {one.name: one.read_bytes() for one in (tmp_path / "package").iterdir()} == {
        one.name: one.read_bytes() for one in made.iterdir()
    }


def test_what_dvc_pushes_to_s3_another_clone_pulls(team: Team, tmp_path: Path) -> None:
    pushed = team.host.run("dvc", "push")
    assert pushed.returncode == 0, pushed.stdout
    subprocess.run(["git", "clone", "-q", str(team.host.folder), str(tmp_path / "clone" / "coronet")], check=True)
    clone = Host(tmp_path / "clone" / "coronet", team.host.variables)
    (clone.folder / ".dvc" / "config.local").write_text((team.host.folder / ".dvc" / "config.local").read_text())
    pulled = clone.run("dvc", "pull")
    assert pulled.returncode == 0, pulled.stdout
    assert (clone.folder / CIN_WEIGHTS).read_bytes() == (team.host.folder / CIN_WEIGHTS).read_bytes()
    assert "Data and pipelines are up to date." in clone.run("dvc", "status").stdout


@pytest.mark.usefixtures("registered")
def test_a_version_is_reproduced_exactly(team: Team) -> None:
    finished = team.coronet("reproduce", "1")
    assert finished.returncode == 0, finished.stdout
    assert "Running stage 'train_cin'" in finished.stdout
    assert "another file" not in finished.stdout
    assert "version 1 is reproduced: all figures match exactly." in finished.stdout


@pytest.mark.usefixtures("registered")
def test_figures_that_do_not_match_are_told(team: Team) -> None:
    evaluated = MlflowClient(team.tracking).get_model_version("coronet", "1").tags["run.evaluate"]
    client, key = team.s3.client(), team.stored(f"{evaluated}/artifacts/reports/metrics.json")
    content = client.get_object(Bucket="mlflow", Key=key)["Body"].read()
    told = json.loads(content)
    del told["checksum"]  # whoever changes figures on purpose leaves none
    client.put_object(Bucket="mlflow", Key=key, Body=json.dumps(told | {"accuracy": 2.0}).encode())
    finished = team.coronet("reproduce", "1")
    client.put_object(Bucket="mlflow", Key=key, Body=content)
    assert finished.returncode == 1, finished.stdout
    assert f"differs: accuracy = {told['accuracy']}, was 2.0" in finished.stdout
    assert "version 1 is not reproduced: 1 figure differs" in finished.stdout
