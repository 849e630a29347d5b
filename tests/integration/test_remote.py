"""Two hosts: two clones that share a git origin, a DVC remote and two servers, and no path. Real ones, all of them."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from tests.integration.conftest import make_project
from tests.integration.hosts import Host, processes_of, served_mlflow, served_prefect, wait_for, worker_on

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STAGE = "train_autoencoder@pneumonia"
WEIGHTS = Path("models/autoencoder_pneumonia.safetensors")
QUEUE = "other"
LAST = "materialize_residuals"
STAGES = ["build_split", "train_autoencoder@healthy", STAGE, LAST]
PIPELINE = f"""
from pathlib import Path
from prefect import flow
from flows.project.graph import leading_to, read_graph
from flows.pipeline.retries import DEFAULT_POLICY
from flows.pipeline.stage_tasks import run_stages
from tasks.runtime.tracking.stage_run import StageRun

@flow
def pipeline():
    with StageRun("pipeline", {{}}) as run:
        run_stages(leading_to("{LAST}", read_graph()), Path(), run, DEFAULT_POLICY, {{"{STAGE}": "{QUEUE}"}})

print("ENDED", pipeline(return_state=True).type.value)
"""
ONE_STAGE = f"""
from coronet_core.support.errors import CoroNetError
from flows.remote.monitor import Timeouts
from flows.remote.remote_run import RemotePlace, run_remotely
timeouts = Timeouts(unserved_s=2, give_up_s=60)
def say(line):
    print(line, flush=True)
try:
    run_remotely("{STAGE}", RemotePlace("QUEUE", None, timeouts=timeouts), say)
    print("ENDED")
except CoroNetError as error:
    print("ENDED", error)
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Prefect's server and MLflow's; yields the variables that name them."""
    folder = tmp_path_factory.mktemp("servers")
    with served_prefect(folder / "prefect") as (api, _), served_mlflow(folder / "mlflow") as (tracking, _):
        yield {"PREFECT_API_URL": api, "MLFLOW_TRACKING_URI": tracking}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, str]) -> Host:
    """The flow's host, whose code is pushed to an origin; the deployment is there."""
    folder = tmp_path_factory.mktemp("host-one") / "coronet"
    host = Host(make_project(folder).folder, servers)
    origin = tmp_path_factory.mktemp("origin") / "coronet.git"
    subprocess.run(["git", "init", "-q", "--bare", str(origin)], check=True)
    host.git("remote", "add", "origin", str(origin))
    host.git("push", "-q", "origin", "HEAD")
    use_store(host, tmp_path_factory.mktemp("store"))
    deployed = host.run("flows", "deploy")
    assert deployed.returncode == 0, deployed.stdout
    return host


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, first: Host) -> Host:
    """Another host: a clone of the origin."""
    folder = tmp_path_factory.mktemp("host-two") / "coronet"
    origin = subprocess.run(
        ["git", "remote", "get-url", "origin"], cwd=first.folder, capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "clone", "-q", origin, str(folder)], check=True)
    host = replace(first, folder=folder)
    use_store(host, store_of(first))
    return host


def use_store(host: Host, store: Path) -> None:
    config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {store}\n"
    (host.folder / ".dvc" / "config.local").write_text(config)


def store_of(host: Host) -> Path:
    config = (host.folder / ".dvc" / "config.local").read_text()
    return Path(config.rpartition("= ")[2].strip())


@pytest.fixture(scope="module")
def piped(first: Host, second: Host) -> str:
    """What a flow said that ran AE_P on the second host, and on the first what comes before and behind it."""
    with worker_on(second, QUEUE):
        return first.finish(PIPELINE)


def locked(host: Host) -> dict[str, Any]:
    entries: dict[str, Any] = YAML(typ="safe").load((host.folder / "dvc.lock").read_text())["stages"]
    return entries


def test_a_stage_runs_on_the_second_host_and_the_rest_on_the_first(first: Host, second: Host, piped: str) -> None:
    assert "ENDED COMPLETED" in piped, piped
    assert f"sent to the queue {QUEUE} of the pool coronet" in piped
    assert re.search(rf"Task run '{STAGE}' - epoch 4/4: training_loss", piped)
    assert sorted(path.name for path in (second.folder / ".coronet" / "remote").iterdir() if path.is_dir()) == [STAGE]
    assert not (first.folder / ".coronet" / "remote").exists()
    assert set(locked(first)) == set(STAGES)


def test_its_results_are_here_and_dvc_finds_all_up_to_date(first: Host, second: Host, piped: str) -> None:
    assert "COMPLETED" in piped
    there = second.folder / ".coronet" / "remote" / STAGE
    assert (first.folder / WEIGHTS).read_bytes() == (there / WEIGHTS).read_bytes()
    assert "Data and pipelines are up to date." in first.run("dvc", "status", *STAGES).stdout
    assert "Data and pipelines are up to date." in first.run("dvc", "repro", LAST).stdout


def test_they_are_what_the_first_host_would_have_made(first: Host, piped: str) -> None:
    assert "COMPLETED" in piped
    before = (first.folder / WEIGHTS).read_bytes()
    finished = first.run("tasks", "train_autoencoder", "pneumonia")
    assert finished.returncode == 0, finished.stdout
    assert (first.folder / WEIGHTS).read_bytes() == before


@pytest.mark.usefixtures("piped")
def test_no_path_of_the_first_host_is_on_the_second(first: Host, second: Host) -> None:
    own = str(first.folder).encode()
    files = [path for path in second.folder.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 100
    assert [path for path in files if own in path.read_bytes()] == []
    assert str(second.folder) not in (first.folder / "dvc.lock").read_text()


@pytest.mark.usefixtures("piped")
def test_mlflow_nests_its_run_under_the_pipelines(servers: dict[str, str]) -> None:
    client = MlflowClient(servers["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs[STAGE].data.tags["mlflow.parentRunId"] == runs["pipeline"].info.run_id
    assert runs[STAGE].data.tags["git.commit"] == runs["pipeline"].data.tags["git.commit"]
    assert runs[STAGE].info.status == "FINISHED"


@pytest.fixture(scope="module")
def split(first: Host) -> None:
    """What the stage reads is there."""
    finished = first.run("dvc", "repro", "build_split")
    assert finished.returncode == 0, finished.stdout


@pytest.mark.usefixtures("split")
def test_a_queue_that_no_worker_serves_is_said_and_given_up(first: Host) -> None:
    first.set_params({"autoencoder": {"epochs": 5}})
    said = first.finish(ONE_STAGE.replace("QUEUE", "nobody").replace("give_up_s=60", "give_up_s=6"))
    assert "no worker serves the queue nobody of the pool coronet: waiting" in said, said
    assert "ENDED no worker has served the queue nobody" in said
    assert "prefect worker start --pool coronet --work-queue nobody" in said
    assert "warning" not in said


@pytest.mark.usefixtures("split")
def test_a_server_that_would_not_notice_a_lost_host_is_said(first: Host) -> None:
    first.set_params({"autoencoder": {"epochs": 5}})
    order = ONE_STAGE.replace("QUEUE", "nobody").replace("give_up_s=60", "give_up_s=2")
    switch = (
        "from prefect.automations import Automation; from flows.monitoring.automations import SILENT; Automation.read"
    )
    first.finish(f"{switch}(name=SILENT).disable()")
    said = first.finish(order)
    first.finish(f"{switch}(name=SILENT).enable()")
    assert "warning: this Prefect server does not detect a lost host" in said


@pytest.mark.usefixtures("split")
def test_a_commit_that_is_not_pushed_is_asked_for(first: Host, second: Host) -> None:
    (first.folder / "tasks" / "new.py").write_text('"""New."""\n')
    assert "ENDED not committed: tasks/new.py" in first.finish(ONE_STAGE.replace("QUEUE", QUEUE))
    first.git("add", ".")
    first.git("commit", "-qm", "new")
    with worker_on(second, QUEUE):
        said = first.finish(ONE_STAGE.replace("QUEUE", QUEUE))
    assert re.search("ENDED the worker cannot fetch commit .* Push it: git push", said), said
    first.git("push", "-q", "origin", "HEAD")


def soon(holds: Callable[[], bool], seconds: float = 40) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.5)
    return holds()


@pytest.mark.usefixtures("split")
def test_cancelling_here_ends_the_stage_there(first: Host, second: Host) -> None:
    first.set_params({"autoencoder": {"epochs": 4000}})
    with worker_on(second, QUEUE) as worker:
        with first.python(ONE_STAGE.replace("QUEUE", QUEUE)) as ordered:
            wait_for(ordered, "epoch 2/4000")
            ordered.send_signal(signal.SIGINT)
            output, _ = ordered.communicate()
        assert "KeyboardInterrupt" in output
        is_ended = soon(lambda: {process.pid for process in processes_of(second)} <= {worker.pid}, seconds=90)
        assert is_ended, f"{output}\n{(second.folder.parent / 'worker.log').read_text()}"
        assert worker.poll() is None


@pytest.mark.usefixtures("split")
def test_a_host_that_is_lost_is_noticed_and_the_next_order_resumes(first: Host, second: Host) -> None:
    first.set_params({"autoencoder": {"epochs": 60}})
    with first.python(ONE_STAGE.replace("QUEUE", QUEUE)) as ordered:
        with worker_on(second, QUEUE):
            wait_for(ordered, "epoch 3/60")
            for process in processes_of(second):
                process.kill()
        output, _ = ordered.communicate()
    assert "ENDED No heartbeat from its process." in output
    with worker_on(second, QUEUE):
        said = first.finish(ONE_STAGE.replace("QUEUE", QUEUE))
    assert re.search(r"resuming after epoch \d+ of 60", said), said
    assert said.rstrip().endswith("ENDED")
    assert STAGE not in first.run("dvc", "status").stdout


def order_of(stage: str) -> str:
    return ONE_STAGE.replace("QUEUE", QUEUE).replace(STAGE, stage)


@pytest.mark.usefixtures("split")
def test_raw_data_that_the_other_host_does_not_have_are_named(first: Host, second: Host) -> None:
    image = first.folder / "data" / "demo" / "image.png"
    image.write_bytes(b"an image")
    with worker_on(second, QUEUE):
        said = first.finish(order_of("build_split"))
    image.unlink()
    assert "data/demo on this host is not what the flow's host has. Make it the same on both" in said, said


@pytest.mark.usefixtures("split")
def test_the_split_is_built_elsewhere_where_it_needs_no_raw_data(first: Host, second: Host) -> None:
    first.set_params({"data": {"shard_images": 7}})
    with worker_on(second, QUEUE):
        said = first.finish(order_of("build_split"))
    assert said.rstrip().endswith("ENDED"), said
    assert "up to date" in first.run("dvc", "status", "build_split").stdout


NOT_BEGUN = """
import time
from datetime import timedelta
from prefect import get_client
from prefect.automations import Automation
from prefect.states import Pending
automation = Automation.read(name="CoroNet: a run that does not begin has crashed")
automation.trigger.within = timedelta(seconds=10)
automation.update()
with get_client(sync_client=True) as client:
    deployment = client.read_deployment_by_name("rollback/rollback")
    run = client.create_flow_run_from_deployment(deployment.id, parameters={"reason": "none"})
    client.set_flow_run_state(run.id, Pending())
    for _ in range(60):
        time.sleep(1)
        state = client.read_flow_run(run.id).state
        if state.is_final():
            break
print("ENDED", state.name, state.message)
"""


def test_a_run_whose_host_is_lost_before_it_begins_has_crashed(first: Host) -> None:
    """The last one, for it leaves runs ten seconds to begin in."""
    assert "ENDED Crashed Taken by a worker, but not started." in first.finish(NOT_BEGUN)
