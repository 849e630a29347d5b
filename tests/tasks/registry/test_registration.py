"""Packages become versions in a real MLflow store, which are found by any of their names."""

import pytest
from mlflow import MlflowClient

from coronet_core.support.errors import DataError, TransientError
from tasks.package.metadata import package_digest
from tasks.registry.version_lineage import params_digest, tag_name
from tasks.registry.versions import champion, find_version, tag_version
from tests.tasks.registry.conftest import Registered
from tests.tasks.trained_model import CARD, some_lineage


def test_a_package_becomes_the_challenger(registered: Registered) -> None:
    assert registered.first.aliases == ("challenger",)
    assert registered.first.digest == package_digest(registered.packages[0])


def test_the_same_package_has_the_same_version(registered: Registered) -> None:
    assert registered.again == registered.first


def test_the_next_package_is_the_next_version_and_the_challenger(registered: Registered) -> None:
    assert registered.second.number == registered.first.number + 1
    assert registered.second.aliases == ("challenger",)


def test_a_version_says_where_it_comes_from(registered: Registered) -> None:
    lineage = some_lineage()
    told = {"git.commit": lineage.commit, "git.dirty": "false", "params.digest": params_digest(lineage.params)}
    told["dvc.data/split"] = lineage.data["data/split"]
    told |= {f"training.precision.{network}": found for network, found in lineage.training_precision.items()}
    assert told.items() <= dict(registered.first.tags).items()


def test_a_version_and_the_model_are_described(registered: Registered) -> None:
    client = MlflowClient(registered.store)
    description = client.get_model_version("coronet", str(registered.first.number)).description
    assert description
    assert CARD.startswith(description)
    assert "not a medical device" in client.get_registered_model("coronet").description


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("run.train_autoencoder@healthy", "run.train_autoencoder.healthy"),
        ("dvc.data/split", "dvc.data/split"),
        ("dvc./data/Röntgen (1)+", "dvc./data/R_ntgen _1__"),
    ],
)
def test_names_of_tags_are_those_that_mlflow_takes(name: str, tag: str) -> None:
    assert tag_name(name) == tag


@pytest.mark.parametrize("name", ["2", "models:/coronet/2", "challenger", "@challenger", "models:/coronet@challenger"])
def test_a_version_is_found_by_any_of_its_names(registered: Registered, name: str) -> None:
    assert find_version(name).number == registered.second.number


@pytest.mark.parametrize("name", ["7", "@nobody", "models:/coronet/7"])
def test_a_version_that_there_is_none_of_is_told_with_those_that_there_are(registered: Registered, name: str) -> None:
    last = registered.second.number
    with pytest.raises(DataError, match=f"{name}: no such version of coronet. Existing versions: 1.*, {last}"):
        find_version(name)


@pytest.mark.parametrize("name", ["", "models:/other/1", "models:/coronet", "../1", "1; drop"])
@pytest.mark.usefixtures("registered")
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="not a version name"):
        find_version(name)


def test_tags_are_added(registered: Registered) -> None:
    tag_version(registered.second, {"decision": "refused", "reason": "x" * 9000})
    tags = find_version("2").tags
    assert tags["decision"] == "refused"
    assert tags["reason"] == "x" * 5000


def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TransientError, match="Start the server, or correct MLFLOW_TRACKING_URI"):
        champion()
