"""Locations in a store of which the project has been moved or copied."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from coronet_core.support.errors import TransientError
from tasks.runtime.tracking import store_location as places
from tasks.runtime.tracking.store_location import FORMER, STORE, former_folders, repair_locations

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's folder, which is the current one."""
    folder = tmp_path / "here"
    (folder / "mlruns/1").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write_store(root: str, run_root: str | None = None) -> None:
    """A store with one experiment, run and version below `root`, in tables with these columns alone."""
    with closing(sqlite3.connect(STORE)) as store, store:
        store.execute("CREATE TABLE experiments (experiment_id INTEGER, artifact_location TEXT)")
        store.execute("CREATE TABLE runs (run_uuid TEXT, artifact_uri TEXT)")
        store.execute("CREATE TABLE model_versions (source TEXT)")
        store.execute("INSERT INTO experiments VALUES (1, ?)", (f"{root}/1",))
        store.execute("INSERT INTO runs VALUES (?, ?)", (RUN, f"{run_root or root}/1/{RUN}/artifacts"))
        store.execute("INSERT INTO model_versions VALUES (?)", (f"{root}/1/models/m-1/artifacts",))
        store.execute("INSERT INTO model_versions VALUES ('models:/coronet/1')")


def locations(store: Path = STORE) -> list[str]:
    queries = ("artifact_location FROM experiments", "artifact_uri FROM runs", "source FROM model_versions")
    with closing(sqlite3.connect(store)) as opened:
        return [str(row[0]) for query in queries for row in opened.execute(f"SELECT {query}")]  # these three


def expected(root: str) -> list[str]:
    return [f"{root}/1", f"{root}/1/{RUN}/artifacts", f"{root}/1/models/m-1/artifacts", "models:/coronet/1"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_locations_of_a_folder_that_is_gone_become_those_of_this_one(
    here: Path, capsys: pytest.CaptureFixture[str], scheme: str
) -> None:
    gone = f"{scheme}{here.parent}/100% gone'/mlruns"
    write_store(gone)
    repair_locations()
    assert locations() == expected(f"{scheme}{here}/mlruns")
    assert locations(FORMER) == expected(gone)
    assert f"This project was moved from {here.parent}/100% gone'" in capsys.readouterr().err
    assert former_folders(here) == []


def test_a_store_of_this_folder_is_left_alone(here: Path) -> None:
    write_store(f"{here}/mlruns")
    repair_locations()
    assert locations() == expected(f"{here}/mlruns")
    assert not FORMER.exists()


def test_a_copy_names_itself_and_leaves_the_original_as_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = here.parent / "original"
    (original / f"mlruns/1/{RUN}").mkdir(parents=True)
    (original / "dvc.yaml").write_text("")
    write_store(f"{original}/mlruns")
    repair_locations()
    assert locations() == expected(f"{here}/mlruns")
    assert (
        f"Only there: the artifacts of 1 run. Copy them: cp -Rn '{original}/mlruns/.' mlruns/"
        in capsys.readouterr().err
    )


def test_a_folder_that_a_stage_made_again_at_the_old_place_is_no_project(here: Path) -> None:
    (here.parent / "old/mlruns/1").mkdir(parents=True)
    write_store(f"{here.parent}/old/mlruns")
    repair_locations()
    assert locations() == expected(f"{here}/mlruns")


@pytest.mark.parametrize("root", ["mlflow-artifacts:", "s3://bucket/mlruns", "/data/artifacts", "{elsewhere}/mlruns"])
def test_what_lies_elsewhere_on_purpose_stays(here: Path, tmp_path: Path, root: str) -> None:
    (here / "mlruns/1").rmdir()
    (tmp_path / "elsewhere/mlruns/1").mkdir(parents=True)
    root = root.format(elsewhere=tmp_path / "elsewhere")
    write_store(root)
    repair_locations()
    assert locations() == expected(root)


def test_another_path_to_this_folder_is_no_other_folder(here: Path) -> None:
    link = here.parent / "link"
    link.symlink_to(here)
    write_store(f"{link}/mlruns")
    assert former_folders(here) == []


def test_artifacts_of_workspaces_move_with_the_project(here: Path) -> None:
    write_store("/gone/coronet/.coronet/workspaces/fold-1/mlruns", run_root="/gone/coronet/mlruns")
    repair_locations()
    workspace = f"{here}/.coronet/workspaces/fold-1/mlruns"
    assert locations() == [f"{workspace}/1", f"{here}/mlruns/1/{RUN}/artifacts", *expected(workspace)[2:]]


def test_folders_that_only_begin_alike_are_told_apart(here: Path) -> None:
    write_store("/gone/coronet/mlruns", run_root="/gone/coronet-2/mlruns")
    repair_locations()
    assert locations()[:2] == [f"{here}/mlruns/1", f"/gone/coronet-2/mlruns/1/{RUN}/artifacts"]


def test_a_store_that_cannot_be_written_to_is_an_error_before_anything_is(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "WAIT_S", 0.01)
    write_store("/gone/mlruns")
    with closing(sqlite3.connect(STORE)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match=r"still names /gone.*Stop the programs that use it"):
            repair_locations()
    assert locations() == expected("/gone/mlruns")
    assert here.is_dir()


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_store_is_left_to_mlflow(here: Path, content: bytes | None) -> None:
    if content is not None:
        STORE.write_bytes(content)
    repair_locations()
    assert [path.name for path in here.iterdir() if path.name != "mlruns"] == ([] if content is None else [STORE.name])
