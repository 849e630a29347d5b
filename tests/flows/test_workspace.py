"""Workspaces: the same project with other parameters, sharing what may be shared."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.repo import Repo

from coronet_core.support.errors import CoroNetError, ParamsError
from flows.project.graph import Stage, leading_to, read_graph, settled, stale_stages
from flows.project.workspace import open_workspace
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import STATE
from tests.conftest import PROJECT
from tests.integration.conftest import Project, make_project

STAGES = [
    Stage("split", ()),
    Stage("healthy", ("split",)),
    Stage("pneumonia", ("split",)),
    Stage("classify", ("healthy", "pneumonia")),
    Stage("explain", ("classify",)),
    Stage("report", ("classify", "explain")),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path / "coronet").folder)
    return tmp_path / "coronet"


def test_a_workspace_is_the_project_with_other_parameters(project: Path) -> None:
    folder = open_workspace("study/image", {"cin.input": "image", "seed": 7}, None)
    assert folder == STATE / "workspaces" / "study" / "image"
    given, changed = (read_params(path / "params.yaml") for path in (project, folder))
    assert changed == replace(given, seed=7, cin=replace(given.cin, input="image"))
    assert "# eq. (5)-(7)" in (folder / "params.yaml").read_text()
    assert (folder / "dvc.yaml").read_bytes() == (PROJECT / "dvc.yaml").read_bytes()
    assert len(stale_stages([stage.name for stage in read_graph()], folder)) == len(read_graph())


def test_a_value_of_a_section_that_is_null_or_missing_is_written_with_it(project: Path) -> None:
    Project(project).set_params({"cin": {"augmentation": ...}})  # as in a version that did not have it
    assert read_params(project / "params.yaml").autoencoder.pretrained is None
    changes = {f"autoencoder.pretrained.{label}": str(project / "dvc.yaml") for label in ("healthy", "pneumonia")}
    found = read_params(open_workspace("given", {**changes, "cin.augmentation.shift": 0.1}, None) / "params.yaml")
    assert found.cin.augmentation.shift == 0.1
    assert found.autoencoder.pretrained is not None


def test_raw_data_and_records_are_the_projects(project: Path) -> None:
    folder = open_workspace("image", {"cin.input": "image"}, None)
    assert (folder / "data" / "demo").samefile(project / "data" / "demo")
    assert (folder / STATE / "tracking").samefile(project / STATE / "tracking")


def test_a_workspace_follows_the_code_and_keeps_what_it_has_made(project: Path) -> None:
    folder = open_workspace("image", {"cin.input": "image"}, None)
    (folder / "models").mkdir()
    (folder / "models" / "cin.safetensors").write_text("made")
    (project / "tasks" / "new.py").write_text("")
    shutil.rmtree(project / "tasks" / "studies")
    open_workspace("image", {"cin.input": "image"}, None)
    assert (folder / "tasks" / "new.py").is_file()
    assert not (folder / "tasks" / "studies").exists()
    assert (folder / "models" / "cin.safetensors").read_text() == "made"


@pytest.mark.parametrize("content", [b"", b"schema: '2.0'\nstages:\n  evaluate:\n    cm", b"\xff\0stages"], ids=repr)
def test_a_damaged_lock_of_a_workspace_is_set_aside(
    project: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    lock = open_workspace("image", {"cin.input": "image"}, Path()) / "dvc.lock"
    lock.write_bytes(content)
    open_workspace("image", {"cin.input": "image"}, Path())
    assert f"warning: {lock} is damaged" in capsys.readouterr().err
    assert lock.read_bytes() == (project / "dvc.lock").read_bytes()


@pytest.mark.usefixtures("project")
def test_changes_that_are_not_sound_are_refused() -> None:
    with pytest.raises(ParamsError, match=r"cin\.epochs = 0: allowed"):
        open_workspace("none", {"cin.epochs": 0}, None)


def test_a_stage_needs_those_that_lead_to_it() -> None:
    assert [stage.name for stage in leading_to("classify", STAGES)] == ["split", "healthy", "pneumonia", "classify"]
    assert leading_to("report", STAGES) == STAGES


def test_a_stage_that_is_not_there_is_named() -> None:
    with pytest.raises(CoroNetError, match=r"evalute: no such stage\. Stages are split, healthy"):
        leading_to("evalute", STAGES)


@pytest.mark.parametrize(
    ("live", "changes"),
    [("backbone.pth", {"cin.input": "image"}), ("none", {"cin.pretrained": "backbone.pth"})],
    ids=["of the project", "of the workspace alone"],
)
def test_weights_in_the_projects_folder_are_found_from_a_workspace(
    project: Path, live: str, changes: dict[str, str]
) -> None:
    (project / "backbone.pth").write_text("")
    Project(project).set_params({"cin": {"pretrained": live}})
    folder = open_workspace("image", changes, None)
    assert read_params(folder / "params.yaml").cin.pretrained == str(project / "backbone.pth")


def test_the_cache_is_the_projects(project: Path) -> None:
    folder = open_workspace("image", {"cin.input": "image"}, None)
    with Repo(str(project)) as ours, Repo(str(folder)) as theirs:
        assert theirs.cache.local.path == ours.cache.local.path


def test_what_waits_for_no_stale_stage_is_settled() -> None:
    found = settled(STAGES, ["pneumonia"])
    assert [stage.name for stage in found if stage.is_settled] == ["split", "healthy"]
    assert [stage.name for stage in found] == [stage.name for stage in STAGES]
