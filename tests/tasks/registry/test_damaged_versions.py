"""Versions whose tags are damaged or hostile: refused in a line, and the others are found."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from coronet_core.support.errors import DataError
from tasks.registry.fetching import fetch
from tasks.registry.version_lineage import metrics_of
from tasks.registry.versions import DIGEST_TAG, all_versions, find_version
from tests.tasks.registry.conftest import Registered


@pytest.fixture
def damaged(registered: Registered) -> Iterator[str]:
    """A third version, whose digest is a path; its number."""
    client = MlflowClient(registered.store)
    number = str(client.create_model_version("coronet", "models:/coronet/1", tags={DIGEST_TAG: "/home"}).version)
    yield number
    client.delete_model_version("coronet", number)


@pytest.mark.parametrize("digest", ["/home", "..", "", "0" * 63, "0" * 64 + "\n", "\x1b[2J"])
def test_a_digest_that_is_none_is_refused_in_one_line(registered: Registered, damaged: str, digest: str) -> None:
    MlflowClient(registered.store).set_model_version_tag("coronet", damaged, DIGEST_TAG, digest)
    with pytest.raises(DataError, match=rf"^models:/coronet/{damaged}: tag package\.digest .* is refused: [^\n]*$"):
        find_version(damaged)


def test_versions_beside_a_damaged_one_are_found(
    registered: Registered, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [version.number for version in all_versions()] == [1, 2]
    assert capsys.readouterr().err.count(f"warning: models:/coronet/{damaged}: tag") == 1
    assert find_version("1").digest == registered.first.digest


def test_a_digest_that_is_a_path_names_no_folder_to_fetch_to(registered: Registered, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"digest .* is refused"):
        fetch(replace(registered.first, digest=str(tmp_path)))
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_run_that_is_none_is_not_asked_for(registered: Registered) -> None:
    hostile = replace(registered.first, tags={"run.evaluate": "../../x"})
    with pytest.raises(DataError, match=r"tag run\.evaluate '\.\./\.\./x' is refused"):
        metrics_of(hostile)
