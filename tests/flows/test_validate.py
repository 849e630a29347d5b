"""The flow `validate` and what its command prints; on Prefect's server: tests/integration/test_validate.py."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from prefect.client.schemas.objects import State

from flows.cli.images import show_validation
from flows.cli.images.show_validation import validate_and_show
from flows.monitoring.final_states import TRANSIENT_FAILURE
from flows.validate import validate
from tasks.external_validation.result_folder import FILES
from tasks.package.package_folder import write_package
from tasks.runtime.params.checks import read_params
from tests.conftest import PARAMS
from tests.tasks.external_run import Labelled, from_elsewhere, write_folder
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

OUT = Path("reports/validation/ward")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package, and a folder of six labelled phantoms and a file that is none."""
    folder = tmp_path_factory.mktemp("validate")
    params = read_params(PARAMS)
    ran = {"evaluate": asdict(replace(params.evaluate, bootstrap_replicates=100)), "audit": asdict(params.audit)}
    write_package(folder / "package", untrained_model(), CARD, some_lineage(params={"seed": 1, **ran}))
    write_folder(folder / "ward", [*from_elsewhere(), Labelled("bad.png", b"no image", "healthy", "ward-bad")])
    return folder


@pytest.fixture(autouse=True)
def folder(template: Path, tmp_path: Path, mlflow_store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty folder that sees the package and the images, and a store of MLflow."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").symlink_to(template / "package")
    return mlflow_store


def run(folder: Path, **arguments: Any) -> State[None]:
    """The flow without Prefect's server."""
    return validate.fn(str(folder), **({"model": "package"} | arguments))


def test_the_flow_writes_the_folder_and_tells_mlflow(template: Path, folder: str) -> None:
    state = run(template / "ward")
    assert (state.is_completed(), state.message) == (True, "6 of 7 images evaluated")
    assert sorted(path.name for path in OUT.iterdir()) == sorted(FILES)
    assert [path.suffix for path in Path(".coronet/validation").iterdir()] in ([".lock"], [])
    client = MlflowClient(folder)
    experiment = client.get_experiment_by_name("coronet")
    assert experiment is not None
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert (tracked.info.run_name, tracked.info.status) == ("validation ward", "FINISHED")
    assert tracked.data.tags["model.digest"] == untrained_digest()
    found = json.loads((OUT / "validation.json").read_text())
    assert tracked.data.metrics["accuracy"] == found["metrics"]["accuracy"]
    assert tracked.data.metrics["left_out.training_images_and_patients"] == 0
    names = {one.path for one in client.list_artifacts(tracked.info.run_id, "validation")}
    assert names == {"validation/validation.html", "validation/validation.json"}, "no tables: they name files"


def untrained_digest() -> str:
    from tasks.inference.model_source import load_model

    return load_model("package").digest


def test_results_may_lie_outside_the_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("elsewhere") / "results"
    assert run(template / "ward", out=str(out)).is_completed()
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"labels": "none.csv"}, "none.csv: no such table"),
        ({"model": "nowhere"}, "model = nowhere: no such folder"),
        ({"out": "package"}, "so it is not a folder of a validation"),
    ],
)
def test_a_wrong_order_fails_in_a_line_and_leaves_nothing(
    template: Path, arguments: dict[str, str], reason: str
) -> None:
    state = run(template / "ward", **arguments)
    assert state.is_failed()
    assert reason in (state.message or "")
    assert not Path("reports").exists()


def test_a_registry_that_does_not_answer_may_do_so_later(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert run(template / "ward", model="models:/coronet@champion").name == TRANSIENT_FAILURE


def test_the_command_prints_figures_and_what_was_left_out(
    template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show_validation, "run_to_end", lambda flow: flow())
    monkeypatch.setattr("flows.validate.validate", lambda *order, **_: validate.fn(*order))
    assert validate_and_show(template / "ward", None, "package", None, None) == 3
    printed = capsys.readouterr().out
    assert "6 images of 6 patients" in printed
    for line in ("Balanced accuracy", "Specificity, COVID-19", "Needs a human reader", "Out of distribution"):
        assert line in printed
    assert "7 labelled images, 6 evaluated" in printed
    assert "left out: 1 unreadable (reports/validation/ward/left_out.csv)" in printed
    assert "unreadable: not an image (1)" in printed
    assert "Overlap with the training images was not checked" in printed
    assert "Shortcut audit: not passed" in printed, "of networks that have learnt nothing"
    assert f"Page: {(OUT / 'validation.html').resolve()}" in printed
