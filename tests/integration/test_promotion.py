"""Promotion on real servers: a first champion, a better one, a worse one refused, a person asked, and the way back."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from tasks.promotion.promotion_log import LOG, Line, lines_of
from tests.integration.conftest import make_project
from tests.integration.hosts import HTTP, Host, ask_json, served_mlflow, served_prefect, worker_on

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ANYTHING = {
    "min_sensitivity": {"healthy": 0.0, "pneumonia": 0.0, "covid19": 0.0},
    "max_calibration_error": 1.0,
    "require_shortcut_audit": False,
    "compared_by": "accuracy",
}
"""Rules that tiny networks on a few images can meet; what remains is the comparison with the champion."""
ENOUGH_TO_LEARN: dict[str, Any] = {
    "data": {
        "sources": [
            {
                "kind": "phantom",
                "patients": {"healthy": 36, "pneumonia": 36, "covid19": 36},
                "images_per_patient_max": 1,
            }
        ]
    },
    "autoencoder": {"epochs": 2, "batch_size": 4},
    "audit": {"probe_images": 1},
    "explain": {
        "boxed_images": 0,
        "methods": ["perturbation"],
        "measures": {"repeat_seeds": 0, "randomisation_images": 0},
    },
}
"""Phantoms on which a CIN that is trained does better than one that is not, and no more work than that needs."""
TRAINED: dict[str, Any] = {"epochs": 8, "batch_size": 8, "learning_rate": 0.001}
FLOW_THAT_ASKS = "from flows.promote import promote; print(promote('2', 'manual', return_state=True).name)"
RETRAIN = "from flows.retrain import retrain; print(retrain(promotion='auto', return_state=True).message)"
CHAMPION_ANSWERS = """
import torch
from tasks.inference.input.storage import find_files, read
from tasks.inference.predictor import predict_files
from tasks.package.package_folder import read_package
from tasks.registry.fetching import fetch
from tasks.registry.versions import champion
model = read_package(fetch(champion()))
files, _ = find_files(["scan.png"])
print(predict_files([read(file) for file in files], model, torch.device("cpu"))["predicted"].to_pylist())
"""


@dataclass(frozen=True)
class Team:
    """A project with a tracking server and a Prefect server."""

    host: Host
    prefect: str
    mlflow: str

    def run(self, *arguments: str, code: int = 0) -> str:
        finished = self.host.run("flows", *arguments)
        assert finished.returncode == code, finished.stdout
        return finished.stdout

    def version(self, name: str) -> dict[str, Any]:
        """A version as MLflow's server has it: by its number or, if that is no number, its alias."""
        kind, key = ("model-versions/get", "version") if name.isdigit() else ("registered-models/alias", "alias")
        address = f"{self.mlflow}/api/2.0/mlflow/{kind}"
        answer = HTTP.get(address, params={"name": "coronet", key: name}).raise_for_status()
        found: dict[str, Any] = answer.json()["model_version"]
        return found | {"tags": {tag["key"]: tag["value"] for tag in found["tags"]}}

    @property
    def champion(self) -> int:
        return int(self.version("champion")["version"])

    def flow_run(self, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first of Prefect's flow runs that has come so far."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            runs = ask_json("POST", f"{self.prefect}/flow_runs/filter")
            if found := [run for run in runs if reached(run)]:
                run: dict[str, Any] = found[0]
                return run
            time.sleep(0.5)
        pytest.fail("no flow run has come so far")

    def start_promotion(self) -> str:
        """Start the deployment for version 2, to ask a person; returns the id of its run."""
        found = ask_json("GET", f"{self.prefect}/deployments/name/promote/promote")
        body = {"parameters": {"version": "2", "approval": "manual"}, "state": {"type": "SCHEDULED"}}
        run = ask_json("POST", f"{self.prefect}/deployments/{found['id']}/create_flow_run", **body)
        return str(run["id"])

    def fill_in(self, run: dict[str, Any], answer: dict[str, Any]) -> None:
        """Answer by a run's form, which the run hands in a moment after it has paused: until then it is refused."""
        deadline = time.monotonic() + 60
        resume = f"{self.prefect}/flow_runs/{run['id']}/resume"
        while (told := ask_json("POST", resume, run_input=answer))["status"] != "ACCEPT":
            assert time.monotonic() < deadline, told
            time.sleep(0.5)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("promotion")
    with served_prefect(folder / "prefect") as (api, _), served_mlflow(folder / "mlflow") as (mlflow, _):
        variables = {"PREFECT_API_URL": api, "MLFLOW_TRACKING_URI": mlflow}
        yield Team(Host(make_project(folder / "coronet").folder, variables), api, mlflow)


@pytest.fixture(scope="module")
def poor(team: Team) -> str:
    """What is said of the first version, which calls everybody healthy."""
    one_sided = {"cin": TRAINED | {"epochs": 2, "class_weights": [1000.0, 1.0, 1.0]}}
    team.host.set_params(ENOUGH_TO_LEARN | one_sided | {"promotion": ANYTHING})
    team.run("run")
    return team.run("promote")


@pytest.fixture(scope="module")
def better(team: Team, poor: str) -> str:
    assert "version 1 is the champion" in poor
    team.host.set_params({"cin": TRAINED | {"class_weights": "inverse_frequency"}})
    return team.host.finish(RETRAIN)


def test_the_first_version_that_meets_the_rules_is_the_champion(team: Team, poor: str) -> None:
    assert "version 1 is the champion" in poor
    assert team.version("1")["tags"]["promotion"] == "promoted"


def test_a_retrain_that_is_to_promote_puts_a_better_one_in_its_place(team: Team, better: str) -> None:
    assert "version 2 is the champion, in place of version 1" in better
    assert "Against version 1, accuracy changes by +" in team.version("2")["tags"]["promotion.reasons"]


@pytest.mark.usefixtures("better")
def test_a_worse_one_is_refused_with_the_reason(team: Team) -> None:
    told = team.run("promote", "1", code=1)
    assert "error: version 1 is refused:" in told
    assert "error: Against version 2, accuracy changes by -" in told
    assert team.champion == 2
    assert team.version("1")["tags"]["promotion"] == "refused"


@pytest.mark.usefixtures("better")
def test_prefect_has_the_decision_as_artifacts(team: Team) -> None:
    found = ask_json("POST", f"{team.prefect}/artifacts/filter")
    texts = {one["key"]: one["data"] for one in found}
    assert {"promotion", "promotion-figures"} <= set(texts)
    assert any(one["key"] == "promotion" and one["data"].startswith("### Version 1: refused") for one in found)


@pytest.mark.usefixtures("better")
def test_the_champion_is_not_promoted_again(team: Team) -> None:
    assert "version 2 is already the champion" in team.run("promote")


@pytest.mark.usefixtures("better")
def test_a_retrain_leaves_a_version_alone_that_was_judged_before(team: Team) -> None:
    told = team.host.finish(RETRAIN).splitlines()[-1]
    assert told.startswith("nothing to do: ")
    assert told.endswith("version 2 has been judged before: promoted")


@pytest.mark.usefixtures("better")
def test_the_champion_answers(team: Team) -> None:
    Image.radial_gradient("L").save(team.host.folder / "scan.png")
    assert team.host.finish(CHAMPION_ANSWERS).splitlines()[-1] in {f"['{label}']" for label in CLASSES}


@pytest.mark.usefixtures("better")
def test_a_rollback_brings_the_former_champion_back_and_says_why(team: Team) -> None:
    told = team.run("rollback", "--reason", "it calls every child ill")
    assert "version 1 is the champion again, version 2 is not" in told
    assert team.champion == 1
    assert team.version("2")["tags"]["promotion.reasons"] == "it calls every child ill"
    assert "first champion on record" in team.run("rollback", "--reason", "again", code=1)


@pytest.mark.usefixtures("better")
def test_nobody_to_ask_means_not_promoted(team: Team) -> None:
    told = team.run("promote", "2", "--approval", "manual", code=1)
    assert "version 2 is not promoted: there is no terminal to ask on; `--yes` approves without asking" in told
    assert team.champion == 1


@pytest.mark.usefixtures("better")
def test_a_run_without_a_deployment_can_ask_nobody(team: Team) -> None:
    assert team.host.finish(FLOW_THAT_ASKS).splitlines()[-1] == "Declined"
    assert "start the deployment promote" in team.version("2")["tags"]["promotion.reasons"]
    assert team.champion == 1


@pytest.fixture(scope="module")
def worker(team: Team, better: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of the deployments."""
    assert "version 2 is the champion" in better
    team.run("deploy")
    with worker_on(team.host, "default") as worker:
        yield worker


@pytest.mark.usefixtures("worker")
def test_nobody_has_answered_in_time_means_not_promoted(team: Team) -> None:
    team.host.set_params({"promotion": {"approval_timeout_hours": 0.004}})
    asked = team.start_promotion()
    run = team.flow_run(lambda run: run["id"] == asked and run["state_name"] == "Declined")
    assert run["state"]["message"] == "version 2 is not promoted: no reply within 0.004 h"
    assert "no reply within 0.004 h" in team.version("2")["tags"]["promotion.reasons"]
    closing = team.flow_run(lambda run: run["name"] != asked and asked in str(run["parameters"]))
    team.flow_run(lambda run: run["id"] == closing["id"] and run["state_name"] == "Declined")
    assert team.champion == 1


@pytest.mark.usefixtures("worker")
def test_an_answer_that_comes_after_another_decision_changes_nothing(team: Team) -> None:
    team.host.set_params({"promotion": {"approval_timeout_hours": 0.5}})
    asked = team.start_promotion()
    run = team.flow_run(lambda run: run["id"] == asked and run["state_name"] == "Suspended")
    team.run("promote", "2")
    team.fill_in(run, {"promote": False, "name": "somebody", "comment": "Too late."})
    run = team.flow_run(lambda run: run["id"] == asked and run["state_name"] == "Up to date")
    assert run["state"]["message"] == "version 2 was decided on since it was asked about: promoted"
    assert (team.champion, team.version("2")["tags"]["promotion"]) == (2, "promoted")
    team.run("rollback", "--reason", "to be asked again")


def test_a_person_promotes_by_the_form_on_the_page_when_the_process_has_gone(
    team: Team, worker: "subprocess.Popen[bytes]"
) -> None:
    team.host.set_params({"promotion": {"approval_timeout_hours": 0.5}})
    asked = team.start_promotion()
    run = team.flow_run(lambda run: run["id"] == asked and run["state_name"] == "Suspended")
    _, still_there = psutil.wait_procs(psutil.Process(worker.pid).children(recursive=True), timeout=60)
    assert still_there == []
    team.fill_in(run, {"promote": True, "name": "the reader on duty", "comment": "Seen the figures."})
    team.flow_run(lambda run: run["id"] == asked and run["state_name"] == "Promoted")
    tags = team.version("2")["tags"]
    assert team.champion == 2
    assert tags["promotion.by"] == "the reader on duty"
    assert tags["promotion.reasons"].endswith("Seen the figures.")
    runs = ask_json("POST", f"{team.prefect}/flow_runs/filter")
    assert [run["name"] for run in runs if run["state_type"] == "SCHEDULED"] == []


@pytest.mark.usefixtures("better")
def test_the_log_has_every_step_here_and_in_the_registry(team: Team) -> None:
    lines = [Line.of_json(text) for text in (team.host.folder / LOG).read_text().splitlines()]
    assert lines == lines_of(team.version(number)["tags"] for number in "12")
    assert [(line.event, line.version) for line in lines] == [
        ("passed", 1),
        ("promoted", 1),
        ("passed", 2),
        ("promoted", 2),
        ("refused", 1),
        ("rolled back", 2),
        ("passed", 2),
        ("declined", 2),
        ("passed", 2),
        ("declined", 2),
        ("passed", 2),
        ("declined", 2),
        ("passed", 2),
        ("passed", 2),
        ("promoted", 2),
        ("rolled back", 2),
        ("passed", 2),
        ("promoted", 2),
    ]


@pytest.mark.usefixtures("better")
def test_a_run_that_is_not_up_to_date_is_not_registered(team: Team) -> None:
    team.host.set_params({"cin": {"epochs": 9}})
    assert "error: the stage train_cin is not up to date. Run `coronet run` first" in team.run("promote", code=1)
