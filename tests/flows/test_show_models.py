"""`coronet models`: folders are kept, and what strangers wrote into the registry commands nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from coronet_core.support.errors import DataError
from flows.cli.registry.show_models import fetch_to, print_versions
from tasks.registry.model_name import MODEL
from tasks.registry.versions import CHAMPION, DIGEST_TAG

CORONET = Path(sys.executable).with_name("coronet")


@pytest.mark.parametrize("name", ["folder", "folder/notes.txt"])
def test_what_is_no_package_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="there already, and no package"):
        fetch_to("1", tmp_path / name)
    assert (tmp_path / "folder" / "notes.txt").read_text() == "mine"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Of an empty store that is the one in force; in a folder of its own."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client = MlflowClient(store)
    client.create_registered_model(MODEL)
    return client


def champion_with(client: MlflowClient, **tags: str) -> None:
    version = client.create_model_version(MODEL, "file:///nowhere", tags=tags)
    client.set_registered_model_alias(MODEL, CHAMPION, version.version)


def test_a_digest_that_is_a_path_deletes_nothing(client: MlflowClient, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "mine.txt").write_text("mine")
    champion_with(client, **{DIGEST_TAG: str(victim)})
    command = [CORONET, "models", "fetch", "champion", "--out", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (victim / "mine.txt").read_text() == "mine"
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: models:/{MODEL}/1: tag {DIGEST_TAG} '{victim}' is refused")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "project", "victim"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_list_shows_tags_as_they_are(
    client: MlflowClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "300")
    tags = {"git.commit": "[red]\x1b[2J", "dvc.data/split": "a\tb\u202ec", "metric.accuracy": "none"}
    champion_with(client, **{DIGEST_TAG: "0f" * 32, **tags})
    print_versions()
    printed = capsys.readouterr().out
    assert "[red]\\x1b" in printed
    assert "a\\tb\\u202e" in printed
    assert "\x1b[2J" not in printed
