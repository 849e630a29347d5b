"""Kills at random points of a run on servers of Prefect and MLflow and a worker: each time one command completes it.

What is killed in turn: the process of a stage, that of the flow, the worker, either server. Stage and moment are drawn
with a seed. The run has a stage to do again, with all that its output leads to. `CORONET_KILLS=25` asks for as many
kills, `CORONET_KILLS_SEED` for others.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.integration.conftest import Project, copy_of
from tests.integration.hosts import Host, Service, ask_json, runs_in, served_mlflow, served_prefect

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(7200)]
KILLS = int(os.environ.get("CORONET_KILLS", "5"))
SEED = int(os.environ.get("CORONET_KILLS_SEED", "2020"))
VICTIMS = ("stage", "flow", "worker", "Prefect's server", "MLflow's server")
STAGES = (
    "build_split",
    "train_autoencoder@healthy",
    "train_autoencoder@pneumonia",
    "materialize_residuals",
    "train_cin",
    "evaluate",
    "explain",
)
WEIGHTS = ("autoencoder_healthy", "autoencoder_pneumonia", "cin")
LATEST_S = 6.0
"""Until after the beginning of a stage at the latest it is killed: it takes about as long."""
UNENDED = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"]
ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
RETRY_FOR_S = 400.0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What is killed, and when: so many seconds after the beginning of a stage."""

    victim: str
    stage: str
    after_s: float


def kills(n: int, seed: int) -> list[Kill]:
    """Draw `n` kills; every five from the first on have all the victims."""
    draw = random.Random(seed)  # noqa: S311  # not for secrets
    victims = [victim for _ in range(0, n, len(VICTIMS)) for victim in draw.sample(VICTIMS, len(VICTIMS))]
    return [Kill(victim=one, stage=draw.choice(STAGES), after_s=draw.uniform(0, LATEST_S)) for one in victims[:n]]


@dataclass(frozen=True)
class Site:
    """A project with its servers and its worker."""

    host: Host
    api: str
    server: Service
    tracking: Service
    worker: Service

    def request(self, method: str, path: str, **body: Any) -> Any:
        return ask_json(method, f"{self.api}/{path}", **body)

    def start_run(self) -> str:
        deployment = self.request("GET", "deployments/name/retrain/retrain")["id"]
        run: str = self.request("POST", f"deployments/{deployment}/create_flow_run", parameters={})["id"]
        return run

    def end_of(self, run_id: str) -> str:
        """Wait until the flow run has ended; returns the type of its state."""
        deadline = time.monotonic() + RETRY_FOR_S
        while (state := self.request("GET", f"flow_runs/{run_id}")["state"]["type"]) not in ENDS:
            assert time.monotonic() < deadline, f"the run is {state} for ever:\n{self.told()}"
            time.sleep(1)
        return str(state)

    def told(self) -> str:
        logs = [(service.folder / "log").read_text()[-4000:] for service in (self.worker, self.server, self.tracking)]
        return "\n".join(logs)

    def processes(self, run_id: str, *words: str) -> list[psutil.Process]:
        """Return the processes of a flow run whose command has all `words`."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if not set(words) <= set(process.info["cmdline"] or []):
                continue
            try:
                if process.environ().get("PREFECT__FLOW_RUN_ID") == run_id:
                    found.append(process)
            except psutil.Error:  # it has just ended
                continue
        return found

    def unended(self) -> list[str]:
        """Return the runs of flows, tasks and MLflow that have no final state."""
        wanted = {"state": {"type": {"any_": UNENDED}}}
        found = [self.request("POST", f"{kind}/filter", **{kind: wanted}) for kind in ("flow_runs", "task_runs")]
        tracked = [run.info for run in runs_in(self.host.variables["MLFLOW_TRACKING_URI"])]
        return [f"{run['name']}: {run['state_name']}" for runs in found for run in runs] + [
            f"{info.run_name} in MLflow" for info in tracked if info.status == "RUNNING"
        ]

    def weights(self) -> list[bytes]:
        return [(self.host.folder / "models" / f"{name}.safetensors").read_bytes() for name in WEIGHTS]


@pytest.fixture(scope="module")
def site(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project that has been run once, with nobody to disturb it."""
    folder = tmp_path_factory.mktemp("chaos")
    worker = (sys.executable, "-m", "prefect", "worker", "start", "--pool", "coronet", "--type", "process")
    with served_prefect(folder / "server") as (api, server), served_mlflow(folder / "mlflow") as (store, tracking):
        variables = {"PREFECT_API_URL": api, "MLFLOW_TRACKING_URI": store}
        host = Host(copy_of(finished, folder / "host" / "coronet").folder, variables)
        for command in ("deploy", "run"):
            finished = host.run("flows", command)
            assert finished.returncode == 0, finished.stdout
        quick = host.environment | {"PREFECT_WORKER_QUERY_SECONDS": "2"}
        working = Service(folder / "worker", "", worker, quick)
        working.start()
        yield Site(host, api, server, tracking, working)
        working.end()


def until(reached: Callable[[], Any], retry_for_s: float = RETRY_FOR_S) -> Any:
    deadline = time.monotonic() + retry_for_s
    while not (found := reached()):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return found


def strike(site: Site, kill: Kill, run_id: str) -> None:
    """Kill the victim; a server or a worker is started again, as a supervisor would."""
    begun = until(lambda: site.processes(run_id, "tasks", *kill.stage.split("@")))
    assert begun, f"{kill.stage} has not begun:\n{site.told()}"
    time.sleep(kill.after_s)
    services = {"worker": site.worker, "Prefect's server": site.server, "MLflow's server": site.tracking}
    if service := services.get(kill.victim):
        service.kill()
        service.start()
        return
    words = ("prefect.engine",) if kill.victim == "flow" else ("tasks",)
    victims = until(lambda: site.processes(run_id, *words), retry_for_s=60)
    assert victims, f"no process of a {kill.victim} is left to kill:\n{site.told()}"
    for process in victims:
        process.kill()


@pytest.mark.parametrize("number", range(1, KILLS + 1))
def test_after_a_kill_one_command_completes_the_run(site: Site, undisturbed: list[bytes], number: int) -> None:
    kill = kills(KILLS, SEED)[number - 1]
    site.host.forget(kill.stage)
    run_id = site.start_run()
    strike(site, kill, run_id)
    state = site.end_of(run_id)
    began = time.monotonic()
    finished = site.host.run("flows", "run")
    words = f"{kill.victim}, {kill.after_s:.1f} s into {kill.stage}: the run {state.lower()}"
    print(f"kill {number} of {KILLS}: {words}; coronet run: {finished.returncode}, {time.monotonic() - began:.0f} s")
    assert finished.returncode == 0, f"{kill}\n{finished.stdout}\n{site.told()}"
    assert site.weights() == undisturbed
    assert until(lambda: not site.processes(run_id), retry_for_s=60), site.processes(run_id)
    assert until(lambda: not site.unended(), retry_for_s=60), site.unended()


def test_a_run_whose_host_is_gone_is_marked_as_crashed_and_the_next_one_goes_on(
    site: Site, undisturbed: list[bytes]
) -> None:
    site.host.forget("train_cin")
    run_id = site.start_run()
    begun = until(lambda: site.processes(run_id, "tasks", "train_cin"))
    assert begun, site.told()
    (flow,) = site.processes(run_id, "prefect.engine")
    site.worker.kill()
    flow.kill()
    assert site.end_of(run_id) == "CRASHED"
    assert "No heartbeat" in site.request("GET", f"flow_runs/{run_id}")["state"]["message"]
    site.worker.start()
    assert site.end_of(site.start_run()) == "COMPLETED", site.told()
    assert site.weights() == undisturbed
    assert until(lambda: not site.unended(), retry_for_s=60), site.unended()


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> list[bytes]:
    """The weights of the first run."""
    return site.weights()
