"""Drift on a real Prefect server: found, told, and answered by one retrain."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.servers.server_process import free_port
from tasks.calibrate.calibration_file import SCORES, ScoreReference
from tasks.inference.prediction_log import PredictionLog
from tasks.package.package_folder import write_package
from tasks.package.prediction_schema import SCHEMA
from tests.integration.conftest import make_project
from tests.integration.hosts import Host, served
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]
N_IMAGES = 80


def scores(seed: int, shift: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.normal(shift, 1, N_IMAGES) for name in SCORES})
    return table.assign(abstained=rng.random(N_IMAGES) < 0.1)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A project with its deployments on a Prefect server, a package, and two logs: as before, and drifted."""
    folder = make_project(tmp_path_factory.mktemp("drift") / "coronet").folder
    reference = ScoreReference.from_predictions(scores(0, 0.0), np.arange(N_IMAGES).astype(object), seed=0)
    model = untrained_model()
    model = replace(model, calibration=replace(model.calibration, scores=reference))
    write_package(folder / "package", model, CARD, some_lineage())
    for name, shift in (("usual", 0.0), ("drifted", 1.5)):
        told = scores(1, shift).assign(sha256=[f"{name}-{i}" for i in range(N_IMAGES)], ood_score=0.0)
        rows = told.assign(out_of_distribution=False).to_dict("records")
        PredictionLog(folder / name).append(pa.Table.from_pylist(rows, SCHEMA), model.digest)
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    with served(folder.parent / "prefect", f"{api}/health", *command):
        running = Host(folder, {"PREFECT_API_URL": api})
        deployed = running.run("flows", "deploy")
        assert deployed.returncode == 0, deployed.stdout
        yield running


def drift(host: Host, log: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return host.run("flows", "drift", "--log", log, "--model", "package", *options)


def runs_of(host: Host, deployment: str) -> list[dict[str, Any]]:
    api = host.variables["PREFECT_API_URL"]
    body = {"deployments": {"name": {"any_": [deployment]}}}
    found: list[dict[str, Any]] = httpx.post(f"{api}/flow_runs/filter", json=body, timeout=30).raise_for_status().json()
    return found


def test_without_drift_nothing_is_started(host: Host) -> None:
    finished = drift(host, "usual", "--retrain")
    assert finished.returncode == 0, finished.stdout
    assert f"no drift: {N_IMAGES} images are like the validation images" in finished.stdout
    assert runs_of(host, "retrain") == []


def test_drift_is_an_exit_code_a_verdict_and_one_retrain(host: Host) -> None:
    first, again = (drift(host, "drifted", "--retrain", "--json") for _ in range(2))
    assert (first.returncode, again.returncode) == (3, 3), first.stdout
    told = json.loads(first.stdout)
    assert told["drifted"] is True
    (run,) = runs_of(host, "retrain")
    page = host.variables["PREFECT_API_URL"].removesuffix("/api")
    assert told["retrain"] == json.loads(again.stdout)["retrain"] == f"{page}/runs/flow-run/{run['id']}"
    assert (run["name"], run["parameters"]["reason"]) == ("drift", "drift")
    assert "drift" in run["tags"]


def test_drift_is_told_where_no_retrain_can_be_started(host: Host) -> None:
    nowhere = Host(host.folder, host.variables | {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"})
    finished = drift(nowhere, "drifted", "--retrain")
    assert finished.returncode == 3, finished.stdout
    assert "warning: no retrain was started: " in finished.stdout
    assert (
        f"calibrated_covid19, residual_healthy, residual_pneumonia, residual_both ({N_IMAGES} images)"
        in finished.stdout
    )
    program = "from flows.watch_drift import watch_drift as check\n"
    program += "print(check('drifted', model='package', retrain=True, return_state=True).message)\n"
    delete = "from prefect import get_client\nwith get_client(sync_client=True) as client:\n"
    delete += "    client.delete_deployment(client.read_deployment_by_name('retrain/retrain').id)\n"
    assert "; no retrain was started: retrain/retrain: no such deployment" in host.finish(delete + program)


def test_the_flow_tells_the_page(host: Host) -> None:
    program = (
        "from flows.watch_drift import watch_drift\n"
        "for log in ('usual', 'drifted', 'nowhere'):\n"
        "    state = watch_drift(log, model='package', return_state=True)\n"
        "    print('state', state.name, state.message, sep='|')\n"
    )
    (host.folder / "watch.py").write_text(program)
    finished = host.run("watch")
    told = [line.split("|")[1:] for line in finished.stdout.splitlines() if line.startswith("state|")]
    assert [name for name, _ in told] == ["Completed", "Drift found", "Failed"], finished.stdout
    assert "no log of predictions" in told[2][1]
    found = httpx.post(f"{host.variables['PREFECT_API_URL']}/artifacts/filter", json={}, timeout=30).json()
    assert [artifact["description"] for artifact in found if artifact["key"] == "drift"]


def test_a_retrain_needs_a_server(host: Host) -> None:
    finished = Host(host.folder, {}).run("flows", "drift", "--log", "drifted", "--model", "package", "--retrain")
    assert finished.returncode == 1
    assert "no Prefect server: set PREFECT_API_URL" in finished.stdout
