"""A second run beside the first, on a terminal: `coronet run` compares them on the same test images, `report` again."""

import json
import re
import sys

import pytest
from mlflow import MlflowClient
from mlflow.entities import FileInfo

from tasks.runtime.paths import DIFFERENCES, DIFFERENCES_PAGE
from tests.integration.conftest import LIGHT, Project
from tests.integration.hosts import runs_in
from tests.pseudo_terminal import on_a_terminal

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_a_run_with_another_classifier_is_compared_with_the_run_before(finished_project: Project) -> None:
    project = finished_project
    project.set_params(LIGHT | {"cin": {"learning_rate": 0.01}})
    command = [sys.executable, "-m", "flows", "run"]
    shown, code = on_a_terminal(command, project.folder, project.environment | {"TERM": "xterm"})
    assert code == 0, shown
    assert re.search(r"train_cin +.* of .* images/s", shown)
    assert "Task run 'train_cin' - " in shown  # its log, above the bars
    champion, former = json.loads((project.folder / DIFFERENCES).read_text())["against"]
    assert "there is none yet" in champion["reason"]
    assert former["reason"] is None
    assert {row["title"]: row["last"] - row["other"] for row in former["figures"]} == pytest.approx(
        {row["title"]: row["difference"] for row in former["figures"]}
    )
    assert any(row["difference"] for row in former["figures"])
    (project.folder / DIFFERENCES_PAGE).unlink()  # as if the run had been ended before it
    assert "All stages are up to date: nothing to do." in project.done("flows", "run")
    assert json.loads((project.folder / DIFFERENCES).read_text())["against"] == [champion, former]
    assert (project.folder / DIFFERENCES_PAGE).is_file()
    report = project.run("flows", "report")
    assert report.returncode == 0, report.stdout
    assert "Not compared with the champion: there is none yet" in report.stdout
    assert "Against the previous run, last run minus the other. Compared on" in report.stdout
    unknown = project.run("flows", "report", "--against", "previous", "--against", "99")
    assert unknown.returncode == 1, unknown.stdout
    assert "Not compared with version 99: " in unknown.stdout
    status = project.run("dvc", "status")
    assert "Data and pipelines are up to date." in status.stdout
    store = f"sqlite:///{project.folder}/mlflow.db"
    (_, pipeline) = sorted(
        (one for one in runs_in(store) if "mlflow.parentRunId" not in one.data.tags),
        key=lambda one: one.info.start_time,
    )
    listed = {one.path.rpartition("/")[2] for one in walk(MlflowClient(store), pipeline.info.run_id)}
    assert DIFFERENCES_PAGE.name in listed


def walk(client: MlflowClient, run_id: str) -> list[FileInfo]:
    """All artifacts of a run."""
    found: list[FileInfo] = []
    folders: list[str | None] = [None]
    while folders:
        for one in client.list_artifacts(run_id, folders.pop()):
            if one.is_dir:
                folders.append(one.path)
            else:
                found.append(one)
    return found
